"""Connected regions of a label map, as run lengths and as outlines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wsgcn.vocabulary import BACKGROUND, IGNORE

_EIGHT = np.ones((3, 3), dtype=bool)
"""Pixels that touch by a corner are connected."""
_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))
"""East, south, west, north as (x, y)."""
_AHEAD_LEFT = ((1, 0), (1, 1), (0, 1), (0, 0))
"""By heading: the pixel ahead on the left of a corner, as (x, y) among the four around it; right is the next."""


@dataclass(frozen=True)
class Region:
    """Connected pixels of one class.

    Attributes:
        class_id: not background, not 255.
        top: first row in the label map.
        left: first column likewise.
        mask: ``(h, w)`` bool, which of the pixels in the region's box belong to it.
    """

    class_id: int
    top: int
    left: int
    mask: NDArray[np.bool_]


def find_regions(labels: NDArray[np.uint8]) -> Iterator[Region]:
    """The 8-connected regions of every class but the background, in order of class; unlabelled pixels are in none.

    Args:
        labels: ``(H, W)`` class ids, 255 = unlabelled.
    """
    for class_id in np.unique(labels):
        if class_id in (BACKGROUND, IGNORE):
            continue
        numbered, _ = ndimage.label(labels == class_id, structure=_EIGHT)
        for number, (rows, columns) in enumerate(ndimage.find_objects(numbered), 1):
            yield Region(int(class_id), rows.start, columns.start, numbered[rows, columns] == number)


def run_lengths(region: Region, size: tuple[int, int]) -> list[int]:
    """COCO's uncompressed run-length encoding: pixels outside, inside, outside, … column by column.

    Args:
        region: of a label map.
        size: the map's rows and columns.

    Returns:
        Counts that sum to rows × columns; the first is 0 where the region begins at once.
    """
    height, width = size
    columns = np.zeros((height, region.mask.shape[1]), dtype=bool)  # whole ones: a run may go on in the next
    columns[region.top : region.top + len(region.mask)] = region.mask
    changes = np.flatnonzero(np.diff(columns.ravel(order="F"), prepend=False, append=False))
    bounds = np.concatenate(([0], changes + region.left * height, [height * width]))
    counts: list[int] = np.diff(bounds).tolist()
    return counts if counts[-1] else counts[:-1]


def outline(region: Region) -> NDArray[np.int64]:
    """The outer border of a region along the edges of its pixels, clockwise; what it encloses counts as filled.

    A pixel covers the square from (x, y) to (x + 1, y + 1), so the polygon has exactly the region's area and box. Where
    pixels touch by a corner alone, it passes that corner twice.

    Returns:
        ``(n, 2)``, the corners as (x, y) in the label map.
    """
    inside = np.pad(region.mask, 1).tolist()  # the pixel right below corner (x, y) is inside[y + 1][x + 1]
    start = (int(region.mask[0].argmax()), 0)
    corners, heading = [start], 0
    x, y = start[0] + 1, 0
    while (x, y) != start:
        left, right = (_AHEAD_LEFT[(heading + side) % 4] for side in (0, 1))
        # The pixel on the left first: so the border goes around pixels that touch by a corner as around one region.
        turn = -1 if inside[y + left[1]][x + left[0]] else 0 if inside[y + right[1]][x + right[0]] else 1
        if turn:
            corners.append((x, y))
            heading = (heading + turn) % 4
        x, y = x + _STEPS[heading][0], y + _STEPS[heading][1]
    return np.array([(x + region.left, y + region.top) for x, y in corners], dtype=np.int64)
