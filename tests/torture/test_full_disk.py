"""A disk that is full or cannot be written to: one line that says so, nothing half written, and all is well later.

The project lies on a small tmpfs, which only root may mount; elsewhere the tests are skipped.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.torture.stages import COMMANDS, Snapshots, leftovers, run, tracebacks

pytestmark = pytest.mark.slow

MEGABYTES = 64
"""Of the tmpfs."""
FILLS = 4
"""Times that each stage runs out of room."""


@pytest.fixture
def disk(snapshots: Snapshots, tmp_path: Path) -> Iterator[Path]:
    """A small file system in place of the project's folder."""
    shutil.rmtree(snapshots.project)
    snapshots.project.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(snapshots.project)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this user may not mount a tmpfs")
    try:
        yield snapshots.project
    finally:
        subprocess.run(["umount", "--lazy", str(snapshots.project)], check=True)


def put_back(snapshots: Snapshots, stage: str) -> None:
    """The project as it was before a stage, on the same file system."""
    for path in snapshots.project.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(snapshots.kept / stage, snapshots.project, dirs_exist_ok=True)


def used(folder: Path) -> int:
    """Bytes that a file system has given out."""
    found = os.statvfs(folder)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def free(folder: Path) -> int:
    """Bytes that are left."""
    found = os.statvfs(folder)
    return found.f_bfree * found.f_frsize


def fill(folder: Path, room: int) -> Path:
    """Take all but some bytes of a file system with one file."""
    filler = folder / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(free(folder) - room, 4096))
    return filler


@pytest.mark.parametrize("stage", COMMANDS)
def test_a_full_disk(snapshots, disk, tally, stage):
    put_back(snapshots, stage)
    before = used(disk)
    snapshots.resume(stage)
    needed, draws, hits = used(disk) - before, random.Random(f"17 {stage}"), 0
    for _ in range(FILLS):
        tally.tried(row := f"full disk, {stage}")
        put_back(snapshots, stage)
        filler = fill(disk, int(needed * draws.random()))
        code, text = run(stage, disk)
        hits += code != 0 or "MLflow store" in text  # which may have no room, either
        assert code in (0, 1), text
        assert not tracebacks(text), text
        assert "No space left on device" in text or code == 0, text
        assert leftovers(disk) == []
        filler.unlink()
        snapshots.resume(stage)
        tally.holds(row, note=f"{hits} of them without room for all")
    assert hits


@pytest.mark.parametrize("stage", COMMANDS)
def test_a_read_only_folder(snapshots, disk, tally, stage):
    tally.tried(row := f"read-only folder, {stage}")
    put_back(snapshots, stage)
    remount = ["mount", "-o", "remount,{mode}", str(disk)]
    subprocess.run([word.format(mode="ro") for word in remount], check=True)
    try:
        code, text = run(stage, disk)
    finally:
        subprocess.run([word.format(mode="rw") for word in remount], check=True)
    assert code == 1, text
    assert not tracebacks(text), text
    assert "Read-only file system" in text, text
    snapshots.resume(stage)
    tally.holds(row)
