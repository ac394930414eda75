"""Opening a photograph, whatever its mode, as upright 8-bit RGB."""

from __future__ import annotations

import unicodedata
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from wsgcn.errors import DataError
from wsgcn.store.files import reading

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp")
"""Of photographs, in lower case."""

_EXIF_ORIENTATION = 0x0112
_MEND = "replace it or take it from the split list"


def load_photo(path: Path) -> NDArray[np.uint8]:
    """Read a photograph as ``(H, W, 3)`` uint8 RGB.

    Grey, palette, CMYK, transparent and 16-bit files are converted; the EXIF rotation is applied.

    Raises:
        DataError: the file is missing, truncated, or no picture.
    """
    with reading(path, "is no whole picture", _MEND):
        with Image.open(path) as image:
            image.load()
            upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I") or upright.mode == "F":
            return _from_deep_grey(np.asarray(upright))
        return np.array(upright.convert("RGB"))


def photo_size(path: Path) -> tuple[int, int]:
    """Rows and columns of the upright photograph, read from its header.

    Raises:
        DataError: the file is missing or no picture.
    """
    width, height, turn = _header(path)
    return (width, height) if turn in (5, 6, 7, 8) else (height, width)


def photo_turned(path: Path) -> bool:
    """Whether the file's EXIF data ask for a rotation or a mirror image.

    Raises:
        DataError: the file is missing or no picture.
    """
    return _header(path)[2] != 1


def _header(path: Path) -> tuple[int, int, int]:
    """Width and height as Pillow reports them, and the EXIF orientation that it leaves to us."""
    with reading(path, "is no picture", _MEND), Image.open(path) as image:
        # Pillow reports a TIFF upright already.
        turn = 1 if image.format == "TIFF" else image.getexif().get(_EXIF_ORIENTATION, 1)
        return *image.size, turn


def _from_deep_grey(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """``(H, W)`` of 16-bit grey (0 … 65535) to ``(H, W, 3)`` of 8 bits, by the high byte."""
    grey = (values.astype(np.float64).clip(0, 65535) / 257).round().astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def plain(text: str) -> str:
    """Without blanks around it, and in Unicode's composed form: a file system may have the other one."""
    return unicodedata.normalize("NFC", text.strip())


def find_photographs(root: Path) -> dict[str, str]:
    """Paths of all photographs in a folder and below it, POSIX and below the folder, by their composed form.

    Hidden files and folders are left alone.

    Raises:
        DataError: the folder is missing, or holds none.
    """
    if not root.is_dir():
        raise DataError(f"{root} is no folder: name the one that holds the photographs")
    paths = (
        one.relative_to(root) for one in sorted(root.rglob("*")) if one.suffix.lower() in SUFFIXES and one.is_file()
    )
    found = [one.as_posix() for one in paths if not any(part.startswith(".") for part in one.parts)]
    if not found:
        raise DataError(f"{root} holds no photograph with suffix {', '.join(SUFFIXES)}")
    return {plain(one): one for one in found}


def photo_id(image: str) -> str:
    """Name of what is made of a photograph: its path without suffix, with ``__`` for what separates folders."""
    return PurePosixPath(image).with_suffix("").as_posix().replace("/", "__")
