"""Finished work: what is taken is whole, what is unused for longest goes first, and several may keep at once."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.conftest import ROOT
from wsgcn.store.finished import FinishedWork, Note

MARK = "0123456789abcdef0123456789abcdef"
GB = 1e-9
"""One byte in gigabytes."""


@pytest.fixture
def store(tmp_path):
    return FinishedWork(tmp_path / "store")


@pytest.fixture
def kept(store, tmp_path):
    """A store with one file that only it has."""
    return keep(store, tmp_path, MARK)


def keep(store: FinishedWork, folder: Path, mark: str, content: bytes = b"arrays of an image", seconds: float = 1.5):
    made = folder / "made"
    made.write_bytes(content)
    store.keep(mark, made, seconds)
    made.unlink()
    return store


def entry(store: FinishedWork, mark: str = MARK) -> Path:
    return store.root / mark[:2] / mark[2:]


def note(store: FinishedWork, mark: str = MARK) -> Path:
    return entry(store, mark).with_suffix(".json")


def names(store: FinishedWork) -> set[str]:
    """Every file of the store, temporary ones too."""
    return {path.name for path in store.root.glob("??/*") if path.is_file()}


# ---------------------------------------------------------------- taking and keeping


def test_what_was_kept_is_linked_with_its_seconds(store, tmp_path):
    source, target = tmp_path / "folder" / "a.npz", tmp_path / "other" / "b.npz"
    source.parent.mkdir()
    source.write_bytes(b"arrays")
    store.keep(MARK, source, 2.5)
    assert source.read_bytes() == b"arrays"
    taken = store.take(MARK, target)
    assert taken == store.note(MARK)
    assert taken.seconds == 2.5
    assert target.samefile(source)
    assert names(store) == {MARK[2:], f"{MARK[2:]}.json"}
    assert [path.name for path in target.parent.iterdir()] == ["b.npz"]


def test_what_was_never_kept_is_absent(store, tmp_path):
    assert store.note(MARK) is None
    assert store.take(MARK, tmp_path / "a.npz") is None
    assert store.shrink(0) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_target_is_replaced_and_what_linked_it_stays(kept, tmp_path):
    target, other = tmp_path / "a.npz", tmp_path / "other"
    target.write_bytes(b"out of date")
    os.link(target, other)
    assert kept.take(MARK, target) is not None
    assert target.read_bytes() == b"arrays of an image"
    assert other.read_bytes() == b"out of date"


def test_taking_twice_leaves_one_whole_file(kept, tmp_path):
    """A rename over another link of the same file does nothing and leaves both names."""
    target = tmp_path / "a.npz"
    for _ in range(2):
        assert kept.take(MARK, target) is not None
    kept.keep(MARK, target, 3.0)
    assert kept.note(MARK).seconds == 3.0
    assert {path.name for path in tmp_path.iterdir()} == {"a.npz", "store"}
    assert names(kept) == {MARK[2:], f"{MARK[2:]}.json"}


def test_a_file_of_the_same_mark_is_replaced(kept, tmp_path):
    keep(kept, tmp_path, MARK, b"made again", 9.0)
    assert kept.take(MARK, tmp_path / "a").seconds == 9.0
    assert (tmp_path / "a").read_bytes() == b"made again"


# ---------------------------------------------------------------- damage


def _cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def _flip(path):
    content = bytearray(path.read_bytes())
    content[3] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [_cut, _flip, lambda path: path.write_bytes(b""), Path.unlink])
def test_a_damaged_file_is_not_taken_and_its_target_stays(kept, tmp_path, harm):
    target = tmp_path / "a.npz"
    target.write_bytes(b"before")
    harm(entry(kept))
    assert kept.take(MARK, target) is None
    assert target.read_bytes() == b"before"
    keep(kept, tmp_path, MARK)
    assert kept.take(MARK, target) is not None
    assert target.read_bytes() == b"arrays of an image"


def test_a_file_edited_in_place_through_its_link_is_not_taken(kept, tmp_path):
    target = tmp_path / "a.npz"
    kept.take(MARK, target)
    with target.open("r+b") as file:
        file.write(b"ARRAYS")
    assert entry(kept).read_bytes().startswith(b"ARRAYS")
    assert kept.take(MARK, tmp_path / "b.npz") is None
    assert not (tmp_path / "b.npz").exists()


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"digest": "x"}', '{"digest": "x", "seconds": 1, "b": 2}'])
def test_a_file_without_a_whole_note_counts_as_absent(kept, tmp_path, content):
    note(kept).unlink()
    if content is not None:
        note(kept).write_text(content)
    assert kept.note(MARK) is None
    assert kept.take(MARK, tmp_path / "a.npz") is None


def test_what_another_process_removes_at_this_moment_counts_as_absent(kept, tmp_path, monkeypatch):
    link = os.link

    def removed_before(source, target):
        kept.shrink(0)
        link(source, target)

    monkeypatch.setattr(os, "link", removed_before)
    assert kept.take(MARK, tmp_path / "a.npz") is None
    assert {path.name for path in tmp_path.iterdir()} == {"store"}


# ---------------------------------------------------------------- room


def filled(store: FinishedWork, folder: Path, **used: int) -> FinishedWork:
    """Files of 10 bytes with marks such as ``aaaa``, used at these times."""
    for letter, time in used.items():
        keep(store, folder, letter * 4, b"0123456789")
        os.utime(note(store, letter * 4), (time, time))
    return store


def marks(store: FinishedWork) -> set[str]:
    """What the store holds, by the first letter of its marks."""
    return {path.name[0] for path in store.root.glob("??/*") if path.is_file()}


@pytest.mark.parametrize(
    ("room", "left", "freed"),
    [(40, "abcd", 0), (30, "abc", 10), (29, "ab", 20), (10, "a", 30), (9, "", 40), (0, "", 40)],
)
def test_what_is_unused_for_longest_goes_first(store, tmp_path, room, left, freed):
    filled(store, tmp_path, d=10, b=30, c=20, a=40)
    assert store.shrink(room * GB) == freed
    assert marks(store) == set(left)
    assert all((store.take(mark * 4, tmp_path / mark) is not None) == (mark in left) for mark in "abcd")


def test_taking_is_use(store, tmp_path):
    filled(store, tmp_path, a=10, b=20)
    store.take("aaaa", tmp_path / "a")
    (tmp_path / "a").unlink()
    store.shrink(10 * GB)
    assert marks(store) == {"a"}


def test_what_is_linked_elsewhere_stays_and_takes_no_room(store, tmp_path):
    filled(store, tmp_path, a=10, b=20, c=30)
    store.take("aaaa", tmp_path / "of a stage")
    os.utime(note(store, "aaaa"), (5, 5))
    assert store.shrink(10 * GB) == 10
    assert marks(store) == {"a", "c"}
    assert store.shrink(0) == 10
    assert marks(store) == {"a"}
    (tmp_path / "of a stage").unlink()
    assert store.shrink(0) == 10
    assert marks(store) == set()


def test_what_a_kill_left_without_its_note_takes_room_and_goes(store, tmp_path):
    filled(store, tmp_path, a=10, b=20)
    note(store, "bbbb").unlink()
    os.utime(entry(store, "bbbb"), (5, 5))
    assert store.shrink(10 * GB) == 10
    assert marks(store) == {"a"}
    entry(store, "aaaa").unlink()
    filled(store, tmp_path, c=50)
    assert store.shrink(0) == 10
    assert marks(store) == set()


# ---------------------------------------------------------------- several at once, other file systems, errors

KEEP_AND_TAKE = """
import sys
from pathlib import Path
from wsgcn.store.finished import FinishedWork
store, own = FinishedWork(Path(sys.argv[1])), Path(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for _ in range(200):
    own.unlink(missing_ok=True)
    own.write_bytes(b"the same arrays" * 1000)
    store.keep("ab12", own, 1.0)
    note = store.take("ab12", own)
    assert note is None or own.read_bytes() == b"the same arrays" * 1000
"""


def test_two_processes_that_keep_the_same_leave_one_whole_file(store, tmp_path):
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", KEEP_AND_TAKE, str(store.root), str(tmp_path / name)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True,
        )
        for name in ("one", "two")
    ]  # fmt: skip
    for run in runs:
        assert run.stdout.readline() == "ready\n"
    for run in runs:
        run.stdin.write("go\n")
        run.stdin.flush()
    assert [run.wait(timeout=60) for run in runs] == [0, 0]
    for run in runs:
        run.communicate()
    assert store.take("ab12", tmp_path / "target") is not None
    assert (tmp_path / "target").read_bytes() == b"the same arrays" * 1000
    assert names(store) == {"12", "12.json"}


def _other_file_system(*given):
    raise OSError(18, "Invalid cross-device link")


def test_over_another_file_system_it_is_copied(store, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", _other_file_system)
    keep(store, tmp_path, MARK)
    target = tmp_path / "a.npz"
    assert store.take(MARK, target) is not None
    assert target.read_bytes() == b"arrays of an image"
    assert not target.samefile(entry(store))
    assert store.shrink(0) == len(b"arrays of an image")
    assert names(store) == set()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_nothing_half_is_left_after_an_error(kept, tmp_path, monkeypatch, error):
    def half(source, target):
        Path(target).write_bytes(b"half")
        raise error

    monkeypatch.setattr(os, "link", _other_file_system)
    monkeypatch.setattr("shutil.copyfile", half)
    # A full disk is no reason to fail: the store only saves time.
    outcome = nullcontext() if isinstance(error, OSError) else pytest.raises(type(error))
    with outcome:
        assert kept.take(MARK, tmp_path / "folder" / "a.npz") is None
    (tmp_path / "made").write_bytes(b"other")
    with outcome:
        kept.keep("ff00", tmp_path / "made", 1.0)
    assert list((tmp_path / "folder").iterdir()) == []
    assert names(kept) == {MARK[2:], f"{MARK[2:]}.json"}


def test_a_note_is_a_digest_and_seconds(kept):
    found = kept.note(MARK)
    assert isinstance(found, Note)
    assert (len(found.digest), found.seconds) == (64, 1.5)


def test_a_store_that_cannot_be_used_costs_time_and_nothing_else(tmp_path):
    (tmp_path / "store").write_text("a file where the folder should be")
    (tmp_path / "made").write_bytes(b"content")
    store = FinishedWork(tmp_path / "store")
    store.keep("ab" * 16, tmp_path / "made", 1.0)
    assert store.take("ab" * 16, tmp_path / "taken") is None
    assert not (tmp_path / "taken").exists()


def test_git_leaves_the_store_alone(tmp_path):
    (tmp_path / "made").write_bytes(b"content")
    FinishedWork(tmp_path / "store").keep("ab" * 16, tmp_path / "made", 1.0)
    assert (tmp_path / "store" / ".gitignore").read_text() == "*\n"


def test_what_a_kill_left_half_written_goes_after_a_day(tmp_path):
    (tmp_path / "made").write_bytes(b"content")
    store = FinishedWork(tmp_path / "store")
    store.keep("ab" * 16, tmp_path / "made", 1.0)
    old, young = (store.root / "ab" / f".{name}.part" for name in ("old", "young"))
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    store.shrink(1)
    assert young.exists()
    assert not old.exists()
