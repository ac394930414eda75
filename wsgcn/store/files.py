"""Whole files: written under a temporary name and then renamed, read with an error that says what to do."""

from __future__ import annotations

import csv
import io
import json
import os
import pickle
import shutil
import struct
import tempfile
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from wsgcn.errors import DataError

MAKE_AGAIN = "run the stage that makes it (dvc repro)"
LONGEST = 300
"""Characters of what a file or its reader says in one of our errors."""

HISTORY = ("step", "loss", "lr")
"""Columns of a training's history."""

BROKEN = (
    *(OSError, RuntimeError, ValueError, EOFError, LookupError, TypeError, AttributeError, ArithmeticError),
    *(MemoryError, AssertionError, SyntaxError, struct.error, zlib.error, zipfile.BadZipFile),
    *(pickle.UnpicklingError, tokenize.TokenError, csv.Error, Image.DecompressionBombError, DataError),
)
"""What the readers of Python, NumPy, Pillow and PyTorch raise on damaged files, found by damaging some at random."""


@contextmanager
def reading(path: Path, what: str, advice: str, missing: str = "") -> Iterator[None]:
    """Turn whatever a reader raises on a file into one line that names it.

    Its warnings are not shown: they name no file, and what they are about is either refused or does no harm.

    Args:
        path: the file.
        what: the complaint about one that cannot be read, such as "is not JSON".
        advice: what to do then.
        missing: what to do where there is no such file.

    Raises:
        DataError: the file is missing, or a reader raised one of :data:`BROKEN`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except FileNotFoundError:
        raise DataError(f"{path} is missing{missing and ': '}{missing}") from None
    except BROKEN as error:
        raise DataError(f"{path} {what} ({reason(error)}): {advice}") from error


def reason(error: BaseException) -> str:
    """What an error says, as one line that is not too long."""
    return shortened(str(error)) or type(error).__name__


def shortened(text: str) -> str:
    """A text of a file as one line that is not too long."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"


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
        with os.fdopen(descriptor, "w+b") as file:
            write(file)
            os.fchmod(file.fileno(), 0o644)
        os.replace(temporary, path)
    except FileNotFoundError:
        if os.path.exists(temporary):  # it is another file that was not found
            raise
        return False
    except OSError as error:  # a full disk is said without a name
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
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
    with reading(path, "is not JSON", "delete it and make it again", MAKE_AGAIN):
        return json.loads(path.read_text(encoding="utf-8"))


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds values by name.

    Raises:
        DataError: it is missing, is not JSON, or holds something else.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError(f"{path} does not hold values by name: delete it and make it again (dvc repro)")
    return content


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
        DataError: it is missing, is no CSV, or a row has more or fewer cells than the header.
    """
    with reading(path, "is no table", "delete it and make it again (dvc repro)", MAKE_AGAIN):
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        if any(None in row or None in row.values() for row in rows):
            raise ValueError("a row has more or fewer cells than the header")
        return rows


def read_numbers(path: Path, columns: Sequence[str] | None = None) -> dict[str, list[float]]:
    """Columns of numbers of a CSV file, by name; without rows none of them has any.

    Args:
        path: the file.
        columns: those that are wanted; None = all but ``id``.

    Raises:
        DataError: as :func:`read_table`, or a cell is no number.
    """
    rows = read_table(path)
    names = columns if columns is not None else [name for name in (rows[0] if rows else ()) if name != "id"]
    with reading(path, f"has no numbers in {shortened(', '.join(names))}", "make it again (dvc repro)"):
        return {name: [float(row[name]) for row in rows] for name in names}


def remove_others(folder: Path, keep: Iterable[str]) -> None:
    """Delete from a folder what is not listed: leftovers of a kill, of another dataset, of a method that is gone."""
    names = set(keep)
    if folder.is_dir():
        for path in folder.iterdir():
            if path.name not in names:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
