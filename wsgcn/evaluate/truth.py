"""Ground-truth masks: the only place of the project that reads them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsgcn.errors import DataError
from wsgcn.store.index import ImageRecord
from wsgcn.store.label_maps import load_label_map
from wsgcn.vocabulary import IGNORE


def find_masks(folder: Path, images: Iterable[ImageRecord]) -> Path | None:
    """The folder of the masks ``<id>.png`` if it holds one of these photographs' at least, else None."""
    return folder if any((folder / f"{image.id}.png").exists() for image in images) else None


def load_checked(path: Path, size: tuple[int, ...], classes: int) -> NDArray[np.uint8]:
    """Read a label map that must fit its photograph.

    Args:
        path: palette PNG of class ids.
        size: rows and columns of the upright photograph.
        classes: number of classes; every label but 255 is below it.

    Returns:
        ``(H, W)`` uint8.

    Raises:
        DataError: the file is missing or broken, has another size, or holds an unknown class.
    """
    labels = load_label_map(path)
    if labels.shape != size:
        height, width = labels.shape
        raise DataError(f"{path} is {width} x {height} pixels, but its photograph is {size[1]} x {size[0]}: replace it")
    largest = int(labels[labels != IGNORE].max(initial=0))
    if largest >= classes:
        raise DataError(f"{path} holds class id {largest}, but the dataset has classes 0 to {classes - 1}: replace it")
    return labels
