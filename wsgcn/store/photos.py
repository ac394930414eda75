"""Opening a photograph, whatever its mode, as upright 8-bit RGB."""

from __future__ import annotations

import unicodedata
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from wsgcn.errors import DataError
from wsgcn.store.files import reading
from wsgcn.store.limits import require_allowed, shrunk_size

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp")
"""Of photographs, in lower case."""

_EXIF_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)
"""Orientations that turn rows into columns."""
_MEND = "replace it or take it from the split list"


def load_photo(path: Path, shrunk: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Read a photograph as ``(H, W, 3)`` uint8 RGB.

    Grey, palette, CMYK, transparent and 16-bit files are converted; the EXIF rotation is applied.

    Args:
        path: the file.
        shrunk: rows and columns of the result, fewer than the photograph's; None = as it is. Of a large
            JPEG a fraction is decoded, in a fraction of time and memory.

    Raises:
        DataError: the file is missing, truncated, no picture, or smaller than that.
    """
    rgb_u8 = _decoded(path, shrunk)
    if shrunk is None or rgb_u8.shape[:2] == shrunk:
        return rgb_u8
    if rgb_u8.shape[0] < shrunk[0] or rgb_u8.shape[1] < shrunk[1]:
        raise DataError(f"{path} has changed since `wsgcn dataset` read it: run all stages again")
    return np.array(Image.fromarray(rgb_u8).resize(shrunk[::-1], Image.Resampling.LANCZOS, reducing_gap=3.0))


def _decoded(path: Path, shrunk: tuple[int, int] | None) -> NDArray[np.uint8]:
    """The upright photograph, of its own size or a JPEG of any that is not below ``shrunk``."""
    with reading(path, "is no whole picture", _MEND):
        with Image.open(path) as image:
            if shrunk is not None:
                image.draft(None, shrunk if _orientation(image) in _SIDEWAYS else shrunk[::-1])
            image.load()
            upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I") or upright.mode == "F":
            return _from_deep_grey(np.asarray(upright))
        return np.array(upright.convert("RGB"))


def load_bounded(
    path: Path, max_megapixels: float | None, work_megapixels: float | None
) -> tuple[tuple[int, int], NDArray[np.uint8]]:
    """Rows and columns of a photograph that no index knows, and its pixels as a network is to see them.

    Args:
        path: the file.
        max_megapixels: allowed; None = any.
        work_megapixels: a larger photograph is shrunk to these; None = none is.

    Raises:
        DataError: the file is missing, truncated, no picture, or too large.
    """
    size = photo_size(path)
    try:
        require_allowed(size, max_megapixels)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    return size, load_photo(path, shrunk_size(size, work_megapixels))


def photo_size(path: Path) -> tuple[int, int]:
    """Rows and columns of the upright photograph, read from its header.

    Raises:
        DataError: the file is missing or no picture.
    """
    width, height, turn = _header(path)
    return (width, height) if turn in _SIDEWAYS else (height, width)


def photo_turned(path: Path) -> bool:
    """Whether the file's EXIF data ask for a rotation or a mirror image.

    Raises:
        DataError: the file is missing or no picture.
    """
    return _header(path)[2] != 1


def _header(path: Path) -> tuple[int, int, int]:
    """Width and height as Pillow reports them, and the EXIF orientation that it leaves to us."""
    with reading(path, "is no picture", _MEND), Image.open(path) as image:
        return *image.size, _orientation(image)


def _orientation(image: Image.Image) -> int:
    """What EXIF says of a picture that is not loaded yet; Pillow reports a TIFF upright already."""
    return 1 if image.format == "TIFF" else int(image.getexif().get(_EXIF_ORIENTATION, 1))


def _from_deep_grey(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """``(H, W)`` of 16-bit grey (0 … 65535) to ``(H, W, 3)`` of 8 bits, by the high byte."""
    if not np.isfinite(values).all():
        raise ValueError("it has pixels that are no number")
    grey = (values.astype(np.float32).clip(0, 65535) / 257).round().astype(np.uint8)
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
