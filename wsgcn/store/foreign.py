"""Files that somebody put by hand among those of the stages: DVC would delete them without a word."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from wsgcn.errors import DataError
from wsgcn.store.fingerprints import read_fingerprint
from wsgcn.store.paths import Artifacts

PER_IMAGE = ("cams", "affinity", "propagate", "crf")
"""Stages whose files each carry a fingerprint."""
SHOWN = 3


def refuse_foreign_files(artifacts: Artifacts) -> None:
    """Stop before a stage replaces what it has not made.

    Files that are older than their stage's summary were there when it ended, and are not opened.

    Raises:
        DataError: there are such files, or damaged ones; it names some.
    """
    found = [path for stage in PER_IMAGE for path in _foreign(artifacts, stage)]
    if found:
        names = ", ".join(map(str, found[:SHOWN])) + (f" and {len(found) - SHOWN} more" if len(found) > SHOWN else "")
        raise DataError(
            f"{names} were put here by hand or are damaged, and dvc repro would replace them: move them away "
            "(`wsgcn cams-import` takes in the CAMs of another method), or delete them"
        )


def _foreign(artifacts: Artifacts, stage: str) -> Iterator[Path]:
    root = artifacts.root / stage
    for folder in sorted(one for one in root.glob("*") if one.is_dir()):
        summary = artifacts.summary(stage, folder.name)
        ended = summary.stat().st_mtime if summary.exists() else 0.0
        with os.scandir(folder) as entries:
            later = sorted(one.path for one in entries if one.is_file() and one.stat().st_mtime > ended)
        yield from (path for path in map(Path, later) if not path.name.startswith(".") and not read_fingerprint(path))
