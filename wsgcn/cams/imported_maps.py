"""Imported class activation maps: what lies in their folder, and how they come onto a photograph's grid."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsgcn.errors import DataError
from wsgcn.ops.resize import grid_size, resize_maps
from wsgcn.store.files import read_mapping
from wsgcn.store.index import ImageRecord
from wsgcn.store.records import Cams, load_record

NOTE = "import.json"
"""Beside the maps when all are there: how many, of which format and classes, and their digest."""

SLACK = 2
"""Cells by which a map may be longer than the photograph's shape asks for: networks round up, and pad."""


def require_import(folder: Path, class_names: Sequence[str]) -> None:
    """Check that a folder has all maps of an import for these classes.

    Args:
        folder: ``imported/<name>``.
        class_names: of all C classes of the dataset by class id, background first.

    Raises:
        DataError: the import failed or never was, or was for other classes.
    """
    if not (folder / NOTE).is_file():
        raise DataError(f"{folder} holds no whole import: run `wsgcn cams-import` until it has no complaint")
    if read_mapping(folder / NOTE).get("classes") != [*class_names]:
        raise DataError(f"{folder} was imported for other classes: run `wsgcn cams-import` again")


def imported_cams(path: Path, image: ImageRecord, stride: int) -> Cams:
    """The maps of a photograph on its grid, and of every pixel where the imported ones are finer than the grid.

    Args:
        path: what the import wrote.
        image: the photograph.
        stride: pixels a cell.

    Raises:
        DataError: the file is missing or broken, or made for other labels or another size of the photograph.
    """
    found = load_record(path, Cams)
    if found.class_ids.tolist() != [*image.class_ids]:
        raise DataError(f"{path} was imported for other labels of the photograph: run `wsgcn cams-import` again")
    size = image.seen
    require_shape(path, found.finest, size)
    grid = grid_size(*size, stride)
    if grid == size:
        return Cams(found.class_ids, normalised(resize_maps(found.finest, size)))
    maps = normalised(resize_maps(found.cams, grid))
    rows, columns = found.finest.shape[1:]
    if rows <= grid[0] and columns <= grid[1]:
        return Cams(found.class_ids, maps)
    return Cams(found.class_ids, maps, normalised(resize_maps(found.finest, size)))


def require_shape(path: Path, maps: NDArray[np.float32], size: tuple[int, int]) -> None:
    """Check that maps ``(K-1, h, w)`` have the shape of a photograph of ``size`` pixels, but for some cells.

    Raises:
        DataError: they have not.
    """
    rows, columns = maps.shape[1:]
    height, width = size
    pixels = max(height / max(rows, 1), width / max(columns, 1))  # a cell
    if maps.size == 0 or rows - height / pixels > SLACK or columns - width / pixels > SLACK:
        raise DataError(f"{path} has maps of {rows} x {columns}, the photograph {height} x {width}: another shape")


def normalised(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Maps ``(K-1, h, w)`` ≥ 0, each divided by its maximum; one of zeros stays."""
    peaks = maps.max(axis=(1, 2), keepdims=True)
    return np.asarray(maps / np.where(peaks > 0, peaks, 1), dtype=np.float32)
