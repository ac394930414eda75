"""Fingerprints: what made a file, and whether it still fits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image

from wsgcn.errors import DataError
from wsgcn.store.files import write_json
from wsgcn.store.label_maps import FINGERPRINT
from wsgcn.store.records import BROKEN, open_npz

PACKAGE = Path(__file__).parents[1]


def fingerprint(room: str, params: Iterable[Mapping[str, Any]], inputs: Iterable[str]) -> str:
    """What makes a per-image file: the code, the parameters and the inputs, as 32 hexadecimal digits.

    Args:
        room: name of the stage's package; its code and the shared code count.
        params: the parameters used, as mappings.
        inputs: fingerprints or digests of every file that was read.
    """
    content = [code_version(room), [dict(one) for one in params], list(inputs)]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


@cache
def code_version(room: str) -> str:
    """Digest of the Python sources that decide a stage's result: its room, ``nets``, ``ops`` and this floor."""
    digest = hashlib.sha256()
    sources = [PACKAGE / "artifacts.py", PACKAGE / "labels.py", PACKAGE / "runtime.py"]
    for folder in (room, "nets", "ops"):
        sources += sorted((PACKAGE / folder).glob("*.py"))
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """Digest of a file's content.

    Raises:
        DataError: the file is missing.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise DataError(f"{path} is missing") from None


def read_fingerprint(path: Path) -> str | None:
    """The fingerprint that a per-image file carries; None where there is no file or it cannot be read."""
    try:
        if path.suffix == ".png":
            with Image.open(path) as image:
                value = image.info.get(FINGERPRINT)
                return None if value is None else str(value)
        with path.open("rb") as file, open_npz(file) as arrays:
            return str(arrays[FINGERPRINT])
    except (SyntaxError, *BROKEN):
        return None


def require_fingerprint(path: Path) -> str:
    """The fingerprint of a file that an earlier stage made.

    Raises:
        DataError: there is no such file, or it is broken.
    """
    mark = read_fingerprint(path)
    if mark is None:
        reason = "is broken: delete it and run its stage again" if path.exists() else "is missing: run its stage first"
        raise DataError(f"{path} {reason}")
    return mark


def write_summary(path: Path, images: int, seconds: Mapping[str, float]) -> None:
    """Write what a per-image stage did; a run that made nothing leaves the earlier summary.

    Args:
        path: file to write.
        images: number of images the stage has.
        seconds: time spent, by image id, of the images made in this run.
    """
    if seconds or not path.exists():
        mean = sum(seconds.values()) / len(seconds) if seconds else 0.0
        write_json(path, {"images": images, "made": len(seconds), "seconds_per_image": mean})


def remove_others(folder: Path, keep: Iterable[str]) -> None:
    """Delete from a per-image folder what no listed image owns: leftovers of a kill or of another dataset."""
    names = set(keep)
    if folder.is_dir():
        for path in folder.iterdir():
            if path.name not in names:
                path.unlink()
