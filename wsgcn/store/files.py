"""Whole files: written under a temporary name and then renamed, read with an error that says what to do."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from wsgcn.errors import DataError

HISTORY = ("step", "loss", "lr")
"""Columns of a training's history."""


def write_atomic(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path`` and rename it, so that ``path`` is never half a file.

    Another process that begins the same stage removes the temporary file among the leftovers of a kill
    (:func:`remove_others`); it is then written again.
    """
    while not _renamed(path, write):
        pass


def _renamed(path: Path, write: Callable[[BinaryIO], object]) -> bool:
    """Write a file; False where another process has removed it before it had its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            os.fchmod(file.fileno(), 0o644)
        os.replace(temporary, path)
    except FileNotFoundError:
        if os.path.exists(temporary):  # it is another file that was not found
            raise
        return False
    finally:
        Path(temporary).unlink(missing_ok=True)
    return True


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    write_atomic(path, lambda file: file.write(text.encode()))


def write_json(path: Path, content: object) -> None:
    """Write JSON atomically, for people and machines: indented, sorted, without NaN."""
    write_text(path, json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        DataError: it is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise DataError(f"{path} is missing: run the stage that makes it (dvc repro)") from None
    except ValueError as error:
        raise DataError(f"{path} is not JSON ({error}): delete it and make it again") from error


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file atomically."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def read_table(path: Path) -> list[dict[str, str]]:
    """Read a CSV file as one mapping a row.

    Raises:
        DataError: it is missing.
    """
    try:
        with path.open(newline="") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        raise DataError(f"{path} is missing: run the stage that makes it (dvc repro)") from None


def remove_others(folder: Path, keep: Iterable[str]) -> None:
    """Delete from a folder what is not listed: leftovers of a kill, of another dataset, of a method that is gone."""
    names = set(keep)
    if folder.is_dir():
        for path in folder.iterdir():
            if path.name not in names:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
