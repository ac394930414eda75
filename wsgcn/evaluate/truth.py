"""Where ground-truth masks lie, and how they come onto a grid."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsgcn.store.index import ImageRecord


def find_masks(folder: Path, images: Iterable[ImageRecord]) -> Path | None:
    """The folder of the masks ``<id>.png`` if it holds one of these photographs' at least, else None."""
    return folder if any((folder / f"{image.id}.png").exists() for image in images) else None


def at_cells(labels: NDArray[np.uint8], grid: tuple[int, ...], stride: float = 0) -> NDArray[np.uint8]:
    """The label at the centre of each cell of an ``h × w`` grid laid over ``(H, W)`` labels.

    Args:
        labels: ``(H, W)``.
        grid: rows and columns of the result.
        stride: labels a cell; of a cell whose centre juts out, the label at the border. 0 = the grid is stretched.
    """
    centres = [
        ((np.arange(cells) + 0.5) * (cells * stride or pixels) / cells).astype(np.int64).clip(max=pixels - 1)
        for cells, pixels in zip(grid, labels.shape)
    ]
    return labels[np.ix_(*centres)]
