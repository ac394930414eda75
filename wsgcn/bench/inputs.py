"""A made-up photograph with everything that propagation reads, at any grid."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsgcn.errors import UsageError

CELL = 4
"""Pixels a cell of the grid, as IRNet has it."""


@dataclass(frozen=True)
class Case:
    """What is timed.

    Attributes:
        height: rows of the grid.
        width: columns of the grid.
        features: F, channels of the node features.
        classes: K, columns of the scores, background included.
    """

    height: int
    width: int
    features: int
    classes: int

    @property
    def grid(self) -> tuple[int, int]:
        """``(h, w)``."""
        return self.height, self.width

    @property
    def name(self) -> str:
        """The grid as ``94x125``."""
        return f"{self.height}x{self.width}"


@dataclass(frozen=True)
class MadeUpPhotograph:
    """One made-up photograph.

    Attributes:
        rgb_u8: ``(H, W, 3)``, H = 4 h.
        small_u8: ``(h, w, 3)``, the same at the grid's resolution.
        boundary: ``(h, w)`` in [0, 1], high between regions.
        features: ``(F, h, w)``, alike within a region.
        cams: ``(K-1, h, w)`` in [0, 1], each highest within one region.
    """

    rgb_u8: NDArray[np.uint8]
    small_u8: NDArray[np.uint8]
    boundary: NDArray[np.float32]
    features: NDArray[np.float32]
    cams: NDArray[np.float32]


def parse_case(grid: str, features: int, classes: int) -> Case:
    """A case from a grid such as ``94x125``.

    Raises:
        UsageError: the grid is not two positive numbers.
    """
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", grid)
    if match is None:
        raise UsageError(f"--grid {grid} is no grid: give rows and columns as in 94x125")
    return Case(int(match[1]), int(match[2]), features, classes)


def make_photograph(case: Case) -> MadeUpPhotograph:
    """Regions around random points, each of one colour and one feature vector, with noise; the same at every call."""
    random = np.random.default_rng(0)
    centres = random.random((12, 2)) * case.grid
    rows, columns = np.mgrid[: case.height, : case.width]
    distances = np.hypot(rows[..., None] - centres[:, 0], columns[..., None] - centres[:, 1])  # (h, w, 12)
    nearest, second = np.sort(distances, axis=2)[..., :2].transpose(2, 0, 1)
    regions = distances.argmin(axis=2)
    boundary = np.exp(-((second - nearest) ** 2) / 4) * random.uniform(0.6, 1, case.grid)
    vectors = random.random((12, case.features))
    features = vectors[regions].transpose(2, 0, 1) + 0.1 * random.standard_normal((case.features, *case.grid))
    colours = random.integers(40, 216, (12, 3))
    small = np.clip(colours[regions] + random.normal(0, 6, (*case.grid, 3)), 0, 255).astype(np.uint8)
    spread = max(case.grid) / 10
    seeds = np.exp(-(distances[..., : case.classes - 1] ** 2) / (2 * spread**2)).transpose(2, 0, 1)
    return MadeUpPhotograph(
        rgb_u8=np.kron(small, np.ones((CELL, CELL, 1), dtype=np.uint8)),
        small_u8=small,
        boundary=boundary.astype(np.float32),
        features=features.astype(np.float32),
        cams=seeds.astype(np.float32),
    )
