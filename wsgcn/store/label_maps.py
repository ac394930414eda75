"""Label maps: palette PNGs of class ids."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from wsgcn.store.files import reading
from wsgcn.store.index import ImageRecord
from wsgcn.store.seal import check_seal, write_sealed
from wsgcn.vocabulary import IGNORE, palette

FINGERPRINT = "fingerprint"
"""Key of the fingerprint among a PNG's texts."""

_MODES = ("P", "L")  # of Pillow: palette, grey


def save_label_map(path: Path, labels: NDArray[np.uint8], fingerprint: str) -> None:
    """Write an ``(H, W)`` map of class ids (255 = unlabelled) as a palette PNG with its fingerprint."""
    image = Image.fromarray(labels)
    image.putpalette(palette())
    info = PngImagePlugin.PngInfo()
    info.add_text(FINGERPRINT, fingerprint)
    write_sealed(path, lambda file: image.save(file, format="PNG", pnginfo=info))


def load_label_map(path: Path) -> NDArray[np.uint8]:
    """Read a label map that a stage made, ``(H, W)`` uint8.

    Raises:
        DataError: the file is missing or broken, or was changed after it was written.
    """
    return _load(path, lambda: read_map(path, _MODES))


def load_labels_of(path: Path, image: ImageRecord, classes: int) -> NDArray[np.uint8]:
    """Read what a stage made of a photograph, ``(H, W)`` uint8 class ids, 255 = unlabelled.

    Args:
        path: of the label map.
        image: the photograph.
        classes: number of classes; every label but 255 is below it.

    Raises:
        DataError: as :func:`load_label_map`, or it has another size than the photograph, or holds an unknown class.
    """
    return _load(path, lambda: _read(path, image, classes))


def load_mask(path: Path, image: ImageRecord, classes: int) -> NDArray[np.uint8]:
    """Read the ground truth of a photograph, which somebody drew: as :func:`load_labels_of`, without a digest."""
    with reading(path, "is no label map of its photograph", "replace it"):
        return _read(path, image, classes)


def _load(path: Path, read: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    with reading(path, "is no label map of its photograph", "delete it and run its stage again", "run its stage"):
        with path.open("rb") as file:
            check_seal(file)
        return read()


def _read(path: Path, image: ImageRecord, classes: int) -> NDArray[np.uint8]:
    labels = read_map(path, _MODES, image.size)
    largest = int(labels[labels != IGNORE].max(initial=0))
    if largest >= classes:
        raise ValueError(f"it holds class id {largest}, but the dataset has classes 0 to {classes - 1}")
    return labels


def read_map(path: Path, modes: Collection[str], size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """One number a pixel of a PNG, ``(H, W)`` uint8; the size is compared before a pixel is read.

    Args:
        path: of the picture.
        modes: what Pillow calls the formats that it may have.
        size: rows and columns that it must have; None = any.

    Raises:
        ValueError: it has another size or format.
        Exception: another of :data:`~wsgcn.store.files.BROKEN`.
    """
    with Image.open(path) as image:
        if image.mode not in modes:
            raise ValueError(f"it is in Pillow's mode {image.mode}, not {' or '.join(modes)}")
        if size is not None and image.size != size[::-1]:
            width, height = image.size
            raise ValueError(f"it is {width} x {height} pixels, but its photograph is {size[1]} x {size[0]}")
        return np.array(image, dtype=np.uint8)
