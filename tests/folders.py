"""What a folder of a million files costs, flat and with a folder for each two digits of a digest.

    python -m tests.folders /a/folder/on/the/disk/in/question

Writes small files as the stages do (under another name, then renamed), reads some of them, lists them, and deletes all
again. Prints a table in Markdown.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from wsgcn.store.files import write_atomic

FILES = 1_300_000
SOME = 100_000
"""Files whose time is taken: the first and the last that are written, and those that are read."""


def flat(folder: Path, number: int) -> Path:
    """All in one folder."""
    return folder / f"{number:08}.png"


def by_prefix(folder: Path, number: int) -> Path:
    """In 256 folders."""
    name = f"{number:08}.png"
    return folder / hashlib.sha256(name.encode()).hexdigest()[:2] / name


def microseconds(work: Callable[[Path], object], paths: list[Path]) -> float:
    """Mean time of something that is done to each file."""
    start = time.perf_counter()
    for path in paths:
        work(path)
    return (time.perf_counter() - start) / len(paths) * 1e6


def write(path: Path) -> None:
    """As a stage does."""
    write_atomic(path, lambda file: file.write(b"x" * 100))


def listed(folder: Path) -> int:
    """Every name, once."""
    return sum(len(files) for _, _, files in os.walk(folder))


def measured(path_of: Callable[[Path, int], Path], folder: Path) -> Iterator[tuple[str, str]]:
    """What is measured, and its figure."""
    paths = [path_of(folder, number) for number in range(FILES)]
    yield f"write, the first {SOME}, microseconds each", f"{microseconds(write, paths[:SOME]):.0f}"
    microseconds(write, paths[SOME:-SOME])
    yield f"write, the last {SOME} of {FILES}, microseconds each", f"{microseconds(write, paths[-SOME:]):.0f}"
    some = random.Random(0).sample(paths, SOME)
    yield "read, microseconds each", f"{microseconds(Path.read_bytes, some):.0f}"
    start = time.perf_counter()
    assert listed(folder) == FILES
    yield "list all, seconds", f"{time.perf_counter() - start:.1f}"


def main(place: str) -> None:
    """Measure both, then print."""
    rows: dict[str, list[str]] = {}
    for path_of in (flat, by_prefix):
        folder = Path(place) / f"wsgcn-{path_of.__name__}"
        try:
            for what, figure in measured(path_of, folder):
                rows.setdefault(what, []).append(figure)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    table = [("", "flat", "256 folders"), ("---",) * 3, *((what, *cells) for what, cells in rows.items())]
    sys.stdout.write("".join(f"| {' | '.join(row)} |\n" for row in table))


if __name__ == "__main__":
    main(*sys.argv[1:])
