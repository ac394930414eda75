"""Small graphs, labels and photographs, random and degenerate, for the parity tests."""

from __future__ import annotations

import numpy as np
import torch

from tests.reference.affinity import boundary_affinity_dense
from wsgcn.affinity.pairs import boundary_affinity, stencil_weights
from wsgcn.ops.stencil import half_disc
from wsgcn.propagate.graph import Sparse, adjacency, normalise, to_torch
from wsgcn.propagate.photograph import Photograph

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


def made_up_photograph(grid: tuple[int, int], classes: int) -> Photograph:
    """Regions of one colour and one feature vector each, boundaries between them, a CAM in one region each."""
    random = np.random.default_rng(0)
    centres = random.random((12, 2)) * grid
    rows, columns = np.mgrid[: grid[0], : grid[1]]
    distances = np.hypot(rows[..., None] - centres[:, 0], columns[..., None] - centres[:, 1])  # (h, w, 12)
    regions = distances.argmin(axis=2)
    first, second = np.sort(distances, axis=2)[..., :2].transpose(2, 0, 1)
    boundary = (np.exp(-((second - first) ** 2) / 4) * random.uniform(0.6, 1, grid)).astype(np.float32)
    offsets = half_disc(5)
    weights = stencil_weights(torch.from_numpy(boundary)[None, None], boundary_affinity, offsets).numpy()
    features = random.random((12, 6))[regions] + 0.1 * random.standard_normal((*grid, 6))
    colours = random.integers(40, 216, (12, 3))[regions] + random.normal(0, 6, (*grid, 3))
    cams = np.exp(-(distances[..., : classes - 1] ** 2) / (2 * (max(grid) / 10) ** 2))
    return Photograph(
        cams=cams.transpose(2, 0, 1).astype(np.float32),
        boundary=boundary,
        features=features.transpose(2, 0, 1).astype(np.float32),
        graph=adjacency(np.array(offsets), weights),
        rgb_u8=colours.clip(0, 255).astype(np.uint8),
        generator=torch.Generator().manual_seed(0),
    )
