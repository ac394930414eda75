"""The folder of an export: it holds a list of our files in it, so that those of others are left alone."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path, PurePosixPath

from wsgcn.errors import DataError, UsageError
from wsgcn.store.files import read_json, reading, write_atomic, write_json

LIST = "wsgcn-export.json"
"""File in the folder: ``format``, ``method``, and ``files``, all that is or will be ours."""


def claim_folder(folder: Path, form: str, method: str, names: Collection[str]) -> None:
    """Write down that these files are ours, before the first of them is there; an earlier export's others go.

    Args:
        folder: is made if need be.
        form: word of the format.
        method: name of the method.
        names: paths below the folder of all the files that are to be written, POSIX.

    Raises:
        UsageError: the folder is no folder, or holds something else, which might be overwritten.
        DataError: its list of files is broken.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found = any(folder.iterdir())
    except OSError as error:
        raise UsageError(f"{folder} cannot be the folder of an export ({error}): name another one") from error
    earlier = _read_list(folder / LIST, form, method) if found else set()
    for name in sorted(names):
        if name not in earlier and (folder / name).exists():
            raise UsageError(f"{folder / name} is no file of the export: move it away, or name another folder")
    try:
        for name in earlier - set(names):
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be the folder of an export ({error}): name another one") from error
    write_json(folder / LIST, {"format": form, "method": method, "files": sorted(names)})


def write_changed(path: Path, content: bytes) -> None:
    """Write a file atomically unless it has this content already."""
    if not (path.is_file() and path.read_bytes() == content):
        write_atomic(path, lambda file: file.write(content))


def _read_list(path: Path, form: str, method: str) -> set[str]:
    """The files of an earlier export of the same method in the same format."""
    if not path.exists():
        raise UsageError(f"{path.parent} holds other files: name an empty folder, or a new one")
    content = read_json(path)
    with reading(path, "is no list of an export", "name another folder"):
        made, names = (content["format"], content["method"]), set(content["files"])
        if any("\0" in name for name in (*made, *names)):
            raise ValueError("a name with a null byte")
        outside = any(PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts for name in names)
    if outside:
        raise DataError(f"{path} names files outside of its folder: name another folder")
    if made != (form, method):
        raise UsageError(f"{path.parent} holds labels of {made[1]} as {made[0]}: name another folder")
    return names
