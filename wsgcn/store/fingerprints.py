"""Fingerprints: what made a file, and whether it still fits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from wsgcn.errors import DataError
from wsgcn.store.files import reading
from wsgcn.store.label_maps import FINGERPRINT
from wsgcn.store.npz import read_npz
from wsgcn.store.seal import check_seal

_ADVICE = "delete it and run its stage again"


def fingerprint(code: str, settings: object, inputs: Iterable[str]) -> str:
    """What makes a file: the code, the parameters and the inputs, as 32 hexadecimal digits.

    Args:
        code: :func:`~wsgcn.store.code.code_version` of what computes it.
        settings: the parameters used and whatever else decides the result (an image id that seeds a random number),
            as JSON knows it.
        inputs: fingerprints or digests of every file that was read.
    """
    content = json.dumps([code, settings, list(inputs)], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class DigestedFile:
    """A file that many images need, and the digest of its content, computed once; "" where it is missing."""

    path: Path
    digest: str

    @classmethod
    def of(cls, path: Path) -> DigestedFile:
        """The file as it is now."""
        return cls(path, file_digest(path) if path.exists() else "")


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


def tree_digest(path: Path) -> str:
    """Digest of a file's content, or of every file below a folder; ``missing`` where there is neither."""
    if path.is_file():
        return file_digest(path)
    if not path.is_dir():
        return "missing"
    files = sorted(one for one in path.rglob("*") if one.is_file())
    listed = "".join(f"{file_digest(one)} {one.relative_to(path).as_posix()}\n" for one in files)
    return hashlib.sha256(listed.encode()).hexdigest()


def read_fingerprint(path: Path) -> str | None:
    """The fingerprint that a per-image file carries; None where there is no file, or it is not as it was written."""
    try:
        with reading(path, "is broken", _ADVICE), path.open("rb") as file:
            check_seal(file)
            if path.suffix != ".png":
                return str(read_npz(file, [FINGERPRINT])[FINGERPRINT])
            with Image.open(file) as image:
                return str(image.info[FINGERPRINT])
    except DataError:
        return None


def require_fingerprint(path: Path) -> str:
    """The fingerprint of a file that an earlier stage made.

    Raises:
        DataError: there is no such file, or it is broken.
    """
    mark = read_fingerprint(path)
    if mark is None:
        reason = f"is broken: {_ADVICE}" if path.exists() else "is missing: run its stage first"
        raise DataError(f"{path} {reason}")
    return mark
