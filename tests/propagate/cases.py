"""Small graphs, labels and photographs, random and degenerate, for the parity tests."""

from __future__ import annotations

import numpy as np
import torch

from tests.reference.affinity import boundary_affinity_dense
from wsgcn.propagate.graph import Sparse, adjacency, normalise, to_torch

GRIDS = [(1, 1), (1, 6), (5, 1), (2, 3), (4, 5)]
RADIUS = 3
KINDS = ("none", "row", "symmetric")


def stencil(dense: np.ndarray, grid: tuple[int, int], radius: int) -> tuple[np.ndarray, np.ndarray]:
    """The offsets and weights that stage ``affinity`` would save for a dense A: each pair of cells once."""
    height, width = grid
    offsets = [
        (dy, dx)
        for dy in range(radius)
        for dx in range(-radius + 1, radius)
        if (dy > 0 or dx > 0) and dy * dy + dx * dx < radius**2
    ]
    weights = np.zeros((len(offsets), height, width))
    for weight, (dy, dx) in zip(weights, offsets):
        for y in range(height):
            for x in range(width):
                if y + dy < height and 0 <= x + dx < width:
                    weight[y, x] = dense[y * width + x, (y + dy) * width + x + dx]
    return np.array(offsets, dtype=np.int64), weights


def affinities(grid: tuple[int, int], seed: int = 0) -> tuple[np.ndarray, Sparse]:
    """A random affinity matrix, dense and sparse."""
    dense = boundary_affinity_dense(np.random.default_rng(seed).random(grid), RADIUS)
    return dense, adjacency(*stencil(dense, grid, RADIUS))


def torch_graph(sparse: Sparse, kind: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Ã and its transpose."""
    matrix = normalise(sparse, kind)
    return to_torch(matrix), to_torch(matrix.T.tocsr())


def picture(grid: tuple[int, int], seed: int = 0) -> np.ndarray:
    """A photograph of a few grey levels' contrast, so that Φ of eq. (7) is neither 0 nor 1."""
    return np.random.default_rng(seed).integers(100, 104, (*grid, 3), dtype=np.uint8)


def labels(kind: str, nodes: int, classes: int, seed: int = 0) -> np.ndarray:
    """``(N,)`` uint8 labels: mixed, or without one of the three groups, or of one group only."""
    choices = {
        "mixed": [*range(classes), 255],
        "no foreground": [0, 255],
        "no background": [*range(1, classes), 255],
        "nothing unlabelled": list(range(classes)),
        "everything unlabelled": [255],
        "background only": [0],
    }[kind]
    return np.random.default_rng(seed).choice(choices, nodes).astype(np.uint8)


LABEL_KINDS = (
    "mixed",
    "no foreground",
    "no background",
    "nothing unlabelled",
    "everything unlabelled",
    "background only",
)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    """Float64 normal numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
