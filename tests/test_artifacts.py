"""Files between stages: whole or absent, never pickled, and named when broken."""

import functools
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsgcn.errors import DataError
from wsgcn.store.files import read_json, read_table, write_atomic, write_json, write_table, write_text
from wsgcn.store.fingerprints import file_digest, fingerprint, read_fingerprint, remove_others
from wsgcn.store.index import Index, load_index, save_index
from wsgcn.store.label_maps import load_label_map, save_label_map
from wsgcn.store.paths import Artifacts
from wsgcn.store.records import Affinity, Cams, Scores, load_record, save_record
from wsgcn.vocabulary import palette


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


RECORDS = [_cams(), _affinity(), _scores()]


# ---------------------------------------------------------------- whole files


@pytest.mark.parametrize("before", [None, b"old"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failing_writer_leaves_nothing_behind(tmp_path, before, error):
    path = tmp_path / "deep" / "file.bin"
    if before:
        write_atomic(path, lambda file: file.write(before))

    def write(file):
        file.write(b"half")
        raise error

    with pytest.raises(error):
        write_atomic(path, write)
    assert [one.name for one in path.parent.iterdir()] == (["file.bin"] if before else [])
    assert not before or path.read_bytes() == before


def test_file_is_not_there_before_it_is_whole(tmp_path):
    path = tmp_path / "file.bin"
    seen = []

    def write(file):
        file.write(b"content")
        seen.append(path.exists())

    write_atomic(path, write)
    assert seen == [False]
    assert path.read_bytes() == b"content"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_json_round_trip_is_sorted_and_has_no_nan(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"b": [1.5, None], "a": "é"})
    assert read_json(path) == {"a": "é", "b": [1.5, None]}
    assert path.read_text().index('"a"') < path.read_text().index('"b"')
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": float("nan")})
    assert read_json(path)["a"] == "é"


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe{}"])
def test_broken_json_is_named(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match="not JSON") as caught:
        read_json(path)
    assert str(path) in str(caught.value)


def test_table_round_trip(tmp_path):
    path = tmp_path / "a.csv"
    write_table(path, ["id", "loss"], [["a,b", 1.5], ['"c"', 2]])
    assert read_table(path) == [{"id": "a,b", "loss": "1.5"}, {"id": '"c"', "loss": "2"}]


@pytest.mark.parametrize(
    "read",
    [
        read_json,
        read_table,
        load_index,
        load_label_map,
        file_digest,
        *(functools.partial(load_record, kind=kind) for kind in (Cams, Affinity, Scores)),
    ],
)
def test_missing_file_is_named(tmp_path, read):
    path = tmp_path / "gone"
    with pytest.raises(DataError, match="missing") as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- the index


def test_index_round_trip(tmp_path, tiny_index):
    path = Artifacts(tmp_path).index
    save_index(path, tiny_index)
    assert load_index(path) == tiny_index
    assert isinstance(load_index(path).images[0].class_ids, tuple)


@pytest.mark.parametrize("content", [[], {}, {"name": "x"}, 3, None])
def test_json_that_is_no_index_is_named(tmp_path, content):
    path = tmp_path / "index.json"
    write_json(path, content)
    with pytest.raises(DataError, match="wsgcn dataset") as caught:
        load_index(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("change", [lambda image: image.pop("height"), lambda image: image.update(colour=1)])
def test_index_of_another_version_is_refused(tmp_path, tiny_index, change):
    path = tmp_path / "index.json"
    save_index(path, tiny_index)
    content = read_json(path)
    change(content["images"][0])
    write_json(path, content)
    with pytest.raises(DataError, match="not an index of this version"):
        load_index(path)


def test_unknown_split_lists_the_known_ones(tiny_index):
    assert [image.id for image in tiny_index.split("val")] == ["v0", "v1", "v2"]
    with pytest.raises(DataError, match=r"'test'.*train, val"):
        tiny_index.split("test")


def test_empty_index_has_no_split():
    with pytest.raises(DataError, match="no photograph"):
        Index("none", "root", ("background",), ()).split("train")


# ---------------------------------------------------------------- records


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_record_round_trip_keeps_values_and_types(tmp_path, record):
    path = tmp_path / "a.npz"
    save_record(path, record, "f00d")
    loaded = load_record(path, type(record))
    for name, array in vars(record).items():
        np.testing.assert_array_equal(getattr(loaded, name), array)
        assert getattr(loaded, name).dtype == array.dtype
    assert read_fingerprint(path) == "f00d"


@pytest.mark.parametrize(
    ("make", "values"),
    [
        (_cams, {"cams": np.ones((2, 15), np.float32)}),
        (_cams, {"cams": np.ones((3, 3, 5), np.float32)}),
        (_cams, {"class_ids": np.array([], int), "cams": np.ones((0, 3, 5), np.float32)}),
        (_cams, {"cams": np.full((2, 3, 5), np.nan, np.float32)}),
        (_cams, {"cams": np.full((2, 3, 5), np.inf, np.float32)}),
        (_affinity, {"offsets": np.array([[0, 1]])}),
        (_affinity, {"offsets": np.array([0, 1])}),
        (_affinity, {"boundary": np.ones((5, 3), np.float16)}),
        (_affinity, {"boundary": np.full((3, 5), np.nan, np.float16)}),
        (_affinity, {"features": np.ones((7, 5, 3), np.float16)}),
        (_affinity, {"features": np.full((7, 3, 5), np.nan, np.float16)}),
        (_affinity, {"weights": np.full((2, 3, 5), np.nan, np.float16)}),
        (_scores, {"scores": np.ones((2, 15), np.float32)}),
        (_scores, {"scores": np.ones((3, 3, 5), np.float32)}),
        (_scores, {"scores": np.full((2, 3, 5), np.nan, np.float32)}),
        (_scores, {"class_ids": np.array([4, 0])}),
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


# ---------------------------------------------------------------- label maps


def test_label_map_round_trip_with_palette(tmp_path):
    path = tmp_path / "a.png"
    labels = np.arange(256, dtype=np.uint8).reshape(8, 32)
    save_label_map(path, labels, "f00d")
    np.testing.assert_array_equal(load_label_map(path), labels)
    with Image.open(path) as image:
        assert image.mode == "P"
        assert image.size == (32, 8)
        assert image.getpalette() == palette()
    assert read_fingerprint(path) == "f00d"


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1)])
def test_label_map_of_one_value(tmp_path, shape):
    path = tmp_path / "a.png"
    save_label_map(path, np.full(shape, 255, np.uint8), "f")
    np.testing.assert_array_equal(load_label_map(path), np.full(shape, 255))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "1", "I;16"])
def test_picture_that_is_no_label_map_is_named(tmp_path, mode):
    path = tmp_path / "a.png"
    Image.new(mode, (4, 3)).save(path)
    with pytest.raises(DataError, match="not a label map") as caught:
        load_label_map(path)
    assert str(path) in str(caught.value)
    assert read_fingerprint(path) is None


@pytest.mark.parametrize("keep", [0, 8, 0.3, 0.9])
def test_truncated_label_map_is_named(tmp_path, keep):
    path = tmp_path / "a.png"
    save_label_map(path, np.random.default_rng(0).integers(0, 256, (40, 50), np.uint8), "f")
    whole = path.read_bytes()
    path.write_bytes(whole[: keep if isinstance(keep, int) else int(keep * len(whole))])
    with pytest.raises(DataError) as caught:
        load_label_map(path)
    assert str(path) in str(caught.value)


# ---------------------------------------------------------------- fingerprints and folders


def test_fingerprint_depends_on_room_parameters_and_inputs():
    base = fingerprint("crf", [{"a": 1, "b": 2}], ["x"])
    assert base == fingerprint("crf", [{"b": 2, "a": 1}], iter(["x"]))
    others = [
        fingerprint("cams", [{"a": 1, "b": 2}], ["x"]),
        fingerprint("crf", [{"a": 1, "b": 3}], ["x"]),
        fingerprint("crf", [{"a": 1, "b": 2}], ["y"]),
        fingerprint("crf", [{"a": 1, "b": 2}], ["x", "x"]),
    ]
    assert len({base, *others}) == 5
    assert len(base) == 32
    int(base, 16)


def test_fingerprint_of_real_parameters(tiny_params):
    one = fingerprint("propagate", [tiny_params.propagate.model_dump()], [])
    assert one == fingerprint("propagate", [tiny_params.propagate.model_dump()], [])


@pytest.mark.parametrize("name", ["a.npz", "a.png"])
def test_no_fingerprint_where_there_is_none(tmp_path, name):
    assert read_fingerprint(tmp_path / name) is None
    (tmp_path / name).write_bytes(b"broken")
    assert read_fingerprint(tmp_path / name) is None


def test_file_digest_follows_the_content(tmp_path):
    path = tmp_path / "a"
    write_text(path, "one")
    one = file_digest(path)
    write_text(path, "two")
    assert file_digest(path) != one
    write_text(path, "one")
    assert file_digest(path) == one


def test_remove_others_keeps_what_is_listed(tmp_path):
    for name in ("a.npz", "b.npz", ".c.npz.x.part"):
        (tmp_path / name).write_text("")
    remove_others(tmp_path, ["a.npz", "gone.npz"])
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]
    remove_others(tmp_path / "no folder", [])


def test_paths_of_stages_do_not_collide():
    files = Artifacts(Path("artifacts"))
    paths = [
        files.index,
        files.checkpoint("cams-train", "I"),
        files.history("cams-train", "I"),
        files.arrays("cams", "I", "a"),
        files.arrays("cams", "P", "a"),
        files.label_map("crf", "IRNet", "a"),
        files.losses("WSGCN-I"),
        files.summary("propagate", "WSGCN-I"),
        files.metrics("WSGCN-I"),
    ]
    assert len(set(paths)) == len(paths)
    assert files.arrays("propagate", "PSA", "a") == Path("artifacts/propagate/PSA/a.npz")
    assert json.dumps([str(path) for path in paths])
