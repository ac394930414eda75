"""Per-image arrays: never pickled, and named when broken."""

import io
import zipfile

import numpy as np
import pytest

from wsgcn.errors import DataError
from wsgcn.store.fingerprints import read_fingerprint
from wsgcn.store.records import Affinity, Cams, Scores, SeedScores, load_record, save_record


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
    ],
)
def test_record_refuses_bad_arrays(tmp_path, make, values):
    path = tmp_path / "a.npz"
    with pytest.raises(DataError, match=r"\w"):
        make(**values)
    good = make()
    np.savez(path, **vars(good) | values)
    with pytest.raises(DataError, match="broken") as caught:
        load_record(path, type(good))
    assert str(path) in str(caught.value)


def test_object_array_is_never_unpickled(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, class_ids=np.array([1, 4], dtype=object), cams=_cams().cams, fingerprint=np.array({}, dtype=object))
    with pytest.raises(DataError, match=r"a\.npz"):
        load_record(path, Cams)
    assert read_fingerprint(path) is None


def test_record_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    save_record(path, _scores(), "f")
    with pytest.raises(DataError, match=r"a\.npz"):
        load_record(path, Cams)


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
    assert read_fingerprint(path) in (None, "text", "b'text'")


def test_truncated_record_is_refused_at_every_length(tmp_path):
    path = tmp_path / "a.npz"
    save_record(path, _cams(), "f")
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError):
            load_record(path, Cams)
        assert read_fingerprint(path) is None


def test_flipped_byte_is_refused_or_harmless(tmp_path):
    path = tmp_path / "a.npz"
    save_record(path, _cams(), "f")
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        read_fingerprint(path)
        try:
            loaded = load_record(path, Cams)
        except DataError:
            continue
        np.testing.assert_array_equal(loaded.cams, _cams().cams)
