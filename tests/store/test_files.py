"""Whole files: complete or absent, and named when missing or broken."""

import functools

import pytest

from wsgcn.errors import DataError
from wsgcn.store.files import read_json, read_table, remove_others, write_atomic, write_json, write_table
from wsgcn.store.fingerprints import file_digest
from wsgcn.store.index import load_index
from wsgcn.store.label_maps import load_label_map
from wsgcn.store.records import Affinity, Cams, Scores, load_record


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


def test_a_file_that_another_process_sweeps_away_is_written_again(tmp_path):
    path, written = tmp_path / "file.bin", []

    def write(file):
        file.write(b"content")
        if not written:
            remove_others(tmp_path, [])  # the other begins the same stage
        written.append(1)

    write_atomic(path, write)
    assert path.read_bytes() == b"content"
    assert len(written) == 2
    assert [one.name for one in tmp_path.iterdir()] == ["file.bin"]


def test_a_file_that_a_writer_does_not_find_is_its_error(tmp_path):
    def write(file):
        (tmp_path / "source").read_bytes()

    with pytest.raises(FileNotFoundError, match="source"):
        write_atomic(tmp_path / "file.bin", write)
    assert [*tmp_path.iterdir()] == []


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


def test_remove_others_keeps_what_is_listed(tmp_path):
    for name in ("a.npz", "b.npz", ".c.npz.x.part"):
        (tmp_path / name).write_text("")
    remove_others(tmp_path, ["a.npz", "gone.npz"])
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]
    remove_others(tmp_path / "no folder", [])
