"""Whole files: complete or absent, and named when missing or broken."""

import errno
import functools

import pytest

from wsgcn.errors import DataError
from wsgcn.store.files import (
    read_json,
    read_mapping,
    read_numbers,
    read_table,
    reading,
    remove_others,
    write_atomic,
    write_json,
    write_table,
)
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


def test_a_full_disk_is_said_with_the_name_of_the_file(tmp_path):
    def full(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left") as caught:
        write_atomic(tmp_path / "a", full)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "a"))


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


def test_deep_json_is_one_line(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("[" * 100_000)
    with pytest.raises(DataError, match=r"a\.json is not JSON \(maximum recursion"):
        read_json(path)


@pytest.mark.parametrize("content", ["[1]", "3", "null", '"text"'])
def test_json_without_names_is_no_mapping(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(DataError, match=r"a\.json does not hold values by name"):
        read_mapping(path)


@pytest.mark.parametrize(
    "content",
    [
        b"step,loss\n1,\xff\n",
        b"step,loss\n1,0.5,3\n",
        b"step,loss\n1\n",
        b'a\n"1' + b"1" * 200_000,
        b"a\n\0\n\r\r",
    ],
    ids=["no UTF-8", "a cell too many", "a cell too few", "an endless cell", "null bytes"],
)
def test_a_broken_table_is_named(tmp_path, content):
    path = tmp_path / "history.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"history\.csv (is no table|has no numbers)") as caught:
        read_numbers(path)
    assert "\n" not in str(caught.value)


def test_numbers_of_a_table(tmp_path):
    path = tmp_path / "a.csv"
    write_table(path, ["id", "total", "fg"], [["a", 1.5, 2], ["b", "inf", 3]])
    assert read_numbers(path) == {"total": [1.5, float("inf")], "fg": [2, 3]}
    assert read_numbers(path, ["fg"]) == {"fg": [2, 3]}
    with pytest.raises(DataError, match=r"a\.csv has no numbers in bg .'bg'.: make it again"):
        read_numbers(path, ["bg"])
    write_table(path, ["id", "total"], [])
    assert read_numbers(path) == {}
    assert read_numbers(path, ["total"]) == {"total": []}


def test_what_a_reader_says_becomes_one_line_that_is_not_too_long(tmp_path):
    with pytest.raises(DataError) as caught, reading(tmp_path / "a", "is broken", "mend it"):
        raise ValueError("two\n  lines " + "x" * 5000)
    assert "a is broken (two lines xxx" in str(caught.value)
    assert len(str(caught.value)) < 500
    with (
        pytest.raises(DataError, match=r"is broken \(KeyError\): mend it"),
        reading(tmp_path / "a", "is broken", "mend it"),
    ):
        raise KeyError
    with pytest.raises(KeyboardInterrupt), reading(tmp_path / "a", "is broken", "mend it"):
        raise KeyboardInterrupt


def test_remove_others_keeps_what_is_listed(tmp_path):
    for name in ("a.npz", "b.npz", ".c.npz.x.part"):
        (tmp_path / name).write_text("")
    remove_others(tmp_path, ["a.npz", "gone.npz"])
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]
    remove_others(tmp_path / "no folder", [])
