"""Per-image arrays: never pickled, and named when broken."""

import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from wsgcn.errors import DataError
from wsgcn.store.fingerprints import read_fingerprint
from wsgcn.store.index import ImageRecord
from wsgcn.store.records import Affinity, Cams, Scores, SeedScores, load_record, load_record_of, save_record
from wsgcn.store.seal import write_sealed


def _cams(**values) -> Cams:
    return Cams(**{"class_ids": np.array([1, 4]), "cams": np.ones((2, 3, 5), np.float32)} | values)


def _affinity(**values) -> Affinity:
    given = {
        "offsets": np.array([[0, 1], [1, 0]]),
        "weights": np.ones((2, 3, 5), np.float16),
        "boundary": np.zeros((3, 5), np.float16),
        "features": np.ones((7, 3, 5), np.float16),
    }
    return Affinity(**given | values)


def _scores(**values) -> Scores:
    given = {
        "class_ids": np.array([0, 4]),
        "scores": np.ones((2, 3, 5), np.float32),
        "partial_labels": np.full((3, 5), 255, np.uint8),
        "losses": np.zeros((0, 5), np.float32),
    }
    return Scores(**given | values)


def _seed_scores(**values) -> SeedScores:
    maps = np.ones((2, 9, 17), np.float16)
    return SeedScores(**{"class_ids": np.array([0, 4]), "low": maps, "high": maps} | values)


OTHERS = ("no background", "offsets", "weights", "cams of")
"""Beginnings of complaints that name another field than the one that is wrong."""
RECORDS = [_cams(), _cams(high_res=np.zeros((2, 9, 17), np.float32)), _affinity(), _scores(), _seed_scores()]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_record_round_trip_keeps_values_and_types(tmp_path, record):
    path = tmp_path / "a.npz"
    save_record(path, record, "f00d")
    loaded = load_record(path, type(record))
    for name, array in vars(record).items():
        np.testing.assert_array_equal(getattr(loaded, name), array)
        assert getattr(loaded, name).dtype == array.dtype
    assert read_fingerprint(path) == "f00d"


def test_a_field_that_has_its_default_takes_no_room(tmp_path):
    for record, names in ((RECORDS[0], ["cams", "class_ids"]), (RECORDS[1], ["cams", "class_ids", "high_res"])):
        save_record(tmp_path / "a.npz", record, "f00d")
        with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
            assert sorted(arrays) == sorted([*names, "fingerprint"])


def test_each_pixel_has_the_finest_maps():
    plain, fine = RECORDS[:2]
    assert plain.finest is plain.cams
    assert fine.finest is fine.high_res


@pytest.mark.parametrize(
    ("make", "values"),
    [
        (_cams, {"cams": np.ones((2, 15), np.float32)}),
        (_cams, {"cams": np.ones((3, 3, 5), np.float32)}),
        (_cams, {"class_ids": np.array([], int), "cams": np.ones((0, 3, 5), np.float32)}),
        (_cams, {"cams": np.full((2, 3, 5), np.nan, np.float32)}),
        (_cams, {"cams": np.full((2, 3, 5), np.inf, np.float32)}),
        (_cams, {"high_res": np.full((2, 9, 17), np.nan, np.float32)}),
        (_cams, {"high_res": np.ones((3, 9, 17), np.float32)}),
        (_cams, {"high_res": np.ones((2, 9), np.float32)}),
        (_affinity, {"offsets": np.array([[0, 1]])}),
        (_affinity, {"offsets": np.array([0, 1])}),
        (_affinity, {"boundary": np.ones((5, 3), np.float16)}),
        (_affinity, {"boundary": np.full((3, 5), np.nan, np.float16)}),
        (_affinity, {"features": np.ones((7, 5, 3), np.float16)}),
        (_affinity, {"features": np.full((7, 3, 5), np.nan, np.float16)}),
        (_affinity, {"weights": np.full((2, 3, 5), np.nan, np.float16)}),
        (_seed_scores, {"low": np.ones((3, 9, 17), np.float16)}),
        (_seed_scores, {"high": np.ones((2, 9), np.float16)}),
        (_seed_scores, {"high": np.full((2, 9, 17), np.nan, np.float16)}),
        (_scores, {"scores": np.ones((2, 15), np.float32)}),
        (_scores, {"scores": np.ones((3, 3, 5), np.float32)}),
        (_scores, {"scores": np.full((2, 3, 5), np.nan, np.float32)}),
        (_scores, {"class_ids": np.array([4, 0])}),
        (_scores, {"logarithmic": np.zeros(2, np.uint8)}),
        (_cams, {"cams": np.full((2, 3, 5), -0.5, np.float32)}),
        (_cams, {"cams": np.full((2, 3, 5), 1.5, np.float32)}),
        (_cams, {"cams": np.ones((2, 3, 5))}),
        (_cams, {"class_ids": np.array([0, 4])}),
        (_cams, {"class_ids": np.array([4, 1])}),
        (_cams, {"class_ids": np.array([1, 1])}),
        (_cams, {"class_ids": np.array([1, 255])}),
        (_cams, {"class_ids": np.array([1, 4], np.int32)}),
        (_cams, {"cams": np.ones((2, 0, 5), np.float32)}),
        (_affinity, {"weights": np.full((2, 3, 5), -1, np.float16)}),
        (_affinity, {"weights": np.full((2, 3, 5), 2, np.float16)}),
        (_affinity, {"weights": np.ones((2, 3, 5), np.float32)}),
        (_affinity, {"boundary": np.full((3, 5), 1.5, np.float16)}),
        (_affinity, {"offsets": np.array([[0, 1], [-1, 0]])}),
        (_affinity, {"offsets": np.array([[0, 1], [0, -1]])}),
        (_affinity, {"offsets": np.array([[0, 1], [0, 0]])}),
        (_affinity, {"offsets": np.array([[0, 1], [0, 2**40]])}),
        (_affinity, {"stride": np.array(-1)}),
        (_scores, {"scores": np.full((2, 3, 5), -1, np.float32)}),
        (_scores, {"scores": np.full((2, 3, 5), 1e30, np.float32)}),
        (_scores, {"losses": np.full((1, 5), np.nan, np.float32)}),
        (_scores, {"partial_labels": np.full((3, 5), 7, np.uint8)}),
        (_scores, {"logarithmic": np.array(2, np.uint8)}),
        (_seed_scores, {"low": np.full((2, 9, 17), -1, np.float16)}),
        (_seed_scores, {"class_ids": np.array([1, 4])}),
    ],
)
def test_record_refuses_bad_arrays(tmp_path, make, values):
    path = tmp_path / "a.npz"
    with pytest.raises(DataError, match=r"\w"):
        make(**values)
    good = make()
    write_sealed(path, lambda file: np.savez(file, **vars(good) | values))
    with pytest.raises(DataError, match=rf"is broken \(({'|'.join([*values, *OTHERS])})") as caught:
        load_record(path, type(good))
    assert str(path) in str(caught.value)


def test_object_array_is_never_unpickled(tmp_path):
    path, objects = tmp_path / "a.npz", {"class_ids": np.array([1, 4], object), "fingerprint": np.array({}, object)}
    write_sealed(path, lambda file: np.savez(file, allow_pickle=True, cams=_cams().cams, **objects))
    with pytest.raises(DataError, match=r"a\.npz is broken \(.*object"):
        load_record(path, Cams)
    assert read_fingerprint(path) is None


def test_record_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    save_record(path, _scores(), "f")
    with pytest.raises(DataError, match=r"a\.npz"):
        load_record(path, Cams)


@pytest.mark.parametrize(
    ("record", "image", "said"),
    [
        (_cams(), {"class_ids": (1,)}, r"it is of classes \[1, 4\], the index says \[1\]"),
        (_scores(), {"class_ids": (1, 4)}, r"it is of classes \[4\], the index says \[1, 4\]"),
        (
            _scores(stride=np.array(4)),
            {"class_ids": (4,), "height": 13},
            "3 x 5 cells of 4 pixels, .* 13 x 20",
        ),
        (_affinity(stride=np.array(4)), {"width": 21}, "3 x 5 cells of 4 pixels, the index says 12 x 21 pixels"),
        (_affinity(stride=np.array(4)), {"shrunk": (6, 10)}, "3 x 5 cells of 4 pixels, the index says 6 x 10 pixels"),
        (
            _cams(high_res=np.ones((2, 12, 20), np.float32)),
            {"class_ids": (1, 4), "shrunk": (6, 10)},
            "12 x 20 cells of 1 pixels, the index says 6 x 10 pixels",
        ),
    ],
)
def test_what_is_of_another_photograph_is_refused(tmp_path, record, image, said):
    path, fits = tmp_path / "a.npz", ImageRecord("a", "a.jpg", 12, 20, (4,), ("train",))
    save_record(path, record, "f00d")
    if not isinstance(record, Cams):
        assert load_record_of(path, type(record), fits).stride == record.stride
    with pytest.raises(DataError, match=rf"a\.npz is of something else \({said}.*: run its stage again"):
        load_record_of(path, type(record), replace(fits, **image))


def test_what_is_of_a_large_photograph_has_the_size_at_which_it_is_seen(tmp_path):
    path, image = tmp_path / "a.npz", ImageRecord("a", "a.jpg", 120, 200, (1, 4), ("train",), shrunk=(12, 20))
    cams, high_res = _cams(high_res=np.ones((2, 12, 20), np.float32)), np.ones((2, 120, 200), np.float32)
    for record in (cams, _affinity(stride=np.array(4)), _scores(stride=np.array(4))):
        save_record(path, record, "f00d")
        load_record_of(path, type(record), replace(image, class_ids=(4,)) if isinstance(record, Scores) else image)
    save_record(path, _cams(high_res=high_res), "f00d")
    with pytest.raises(DataError, match=r"120 x 200 cells of 1 pixels, the index says 12 x 20 pixels"):
        load_record_of(path, Cams, image)


def test_numbers_that_changed_on_the_disk_are_noticed(tmp_path):
    """The archive is whole, and its check sums are right: what another program wrote in our file's place."""
    path = tmp_path / "a.npz"
    save_record(path, _cams(), "f00d")
    with np.load(path, allow_pickle=False) as arrays:
        changed = {**arrays, "cams": np.full((2, 3, 5), 0.5, np.float32)}
    np.savez(path, **changed)
    with pytest.raises(DataError, match=r"a\.npz is broken \(it lacks the digest"):
        load_record(path, Cams)
    assert read_fingerprint(path) is None


def _npy() -> bytes:
    file = io.BytesIO()
    np.save(file, np.ones(3))
    return file.getvalue()


def _npz(**arrays) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _zip_of_text() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("class_ids", "cams", "fingerprint"):
            archive.writestr(name, "text")
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a zip",
        _npy(),
        _zip_of_text(),
        _npz(class_ids=np.array(1), cams=np.array(1.0)),
        _npz(class_ids=np.array(["a"]), cams=np.array([[["x"]]])),
    ],
    ids=["empty", "text", "npy", "zip of text", "scalars", "strings"],
)
def test_file_that_is_no_record_is_named(tmp_path, content):
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        load_record(path, Cams)
    assert str(path) in str(caught.value)
    assert read_fingerprint(path) is None


def test_truncated_record_is_refused_at_every_length(tmp_path):
    path = tmp_path / "a.npz"
    save_record(path, _cams(), "f")
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError):
            load_record(path, Cams)
        assert read_fingerprint(path) is None


def test_a_flipped_byte_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    save_record(path, _cams(), "f")
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        assert read_fingerprint(path) is None
        with pytest.raises(DataError, match=r"a\.npz is broken"):
            load_record(path, Cams)
