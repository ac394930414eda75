"""Slow, obvious, dense versions of the affinity kernels, straight from the paper's notes. N = h·w, row-major."""

from __future__ import annotations

import math

import numpy as np


def _cells(height: int, width: int) -> list[tuple[int, int]]:
    return [(y, x) for y in range(height) for x in range(width)]


def path_cells(start: tuple[int, int], end: tuple[int, int]) -> list[tuple[int, int]]:
    """Cells of the straight path between two different cells, both ends included.

    A cell at (y, x) from the start, in the bounding box, is on the path to (dy, dx) when
    (dy·x − dx·y)² / (dy² + dx²) < 1. Source: IRNet.
    """
    dy, dx = end[0] - start[0], end[1] - start[1]
    path = []
    for y in range(min(0, dy), max(0, dy) + 1):
        for x in range(min(0, dx), max(0, dx) + 1):
            if (dy * x - dx * y) ** 2 / (dy**2 + dx**2) < 1:
                path.append((start[0] + y, start[1] + x))
    return path


def boundary_affinity_dense(boundary: np.ndarray, radius: int) -> np.ndarray:
    """IRNet: a_ij = 1 − the largest boundary on the straight path, for dy² + dx² < radius²; A_ii = 1.

    Args:
        boundary: ``(h, w)`` in [0, 1].
        radius: cells.

    Returns:
        ``(N, N)`` float64.
    """
    cells = _cells(*boundary.shape)
    affinity = np.zeros((len(cells), len(cells)))
    for i, (yi, xi) in enumerate(cells):
        for j, (yj, xj) in enumerate(cells):
            if i == j:
                affinity[i, j] = 1.0
            elif (yj - yi) ** 2 + (xj - xi) ** 2 < radius**2:
                affinity[i, j] = 1.0 - max(float(boundary[cell]) for cell in path_cells((yi, xi), (yj, xj)))
    return affinity


def feature_affinity_dense(features: np.ndarray, radius: int) -> np.ndarray:
    """PSA: a_ij = exp(−mean_d |f_i − f_j|) for dy² + dx² < radius²; A_ii = 1.

    Args:
        features: ``(F, h, w)``.
        radius: cells.

    Returns:
        ``(N, N)`` float64.
    """
    cells = _cells(*features.shape[1:])
    affinity = np.zeros((len(cells), len(cells)))
    for i, (yi, xi) in enumerate(cells):
        for j, (yj, xj) in enumerate(cells):
            if (yj - yi) ** 2 + (xj - xi) ** 2 < radius**2:
                difference = features[:, yi, xi].astype(np.float64) - features[:, yj, xj].astype(np.float64)
                affinity[i, j] = math.exp(-np.abs(difference).mean())
    return affinity


def pair_loss_dense(affinity: np.ndarray, labels: np.ndarray, pairs: list[tuple[int, int]], epsilon: float) -> float:
    """IRNet's and PSA's loss of one image: 1/4 background, 1/4 foreground, 1/2 pairs of different labels.

    Args:
        affinity: ``(N, N)``.
        labels: ``(N,)`` class ids, 255 = ignored.
        pairs: pairs of nodes that count.
        epsilon: added inside the logarithms.
    """
    groups: dict[str, list[float]] = {"background": [], "foreground": [], "different": []}
    for i, j in pairs:
        if 255 in (labels[i], labels[j]):
            continue
        if labels[i] != labels[j]:
            groups["different"].append(-math.log(1 - affinity[i, j] + epsilon))
        else:
            name = "background" if labels[i] == 0 else "foreground"
            groups[name].append(-math.log(affinity[i, j] + epsilon))
    weights = {"background": 1 / 4, "foreground": 1 / 4, "different": 1 / 2}
    return sum(weights[name] * sum(costs) / len(costs) for name, costs in groups.items() if costs)


def displacement_loss(field: np.ndarray, labels: np.ndarray, radius: int) -> float:
    """IRNet: half the mean of |D_i - D_j - (j - i)| over pairs of one object, half that of |D_i - D_j| over background.

    Args:
        field: ``(2, h, w)``, rows and columns.
        labels: ``(h, w)`` class ids, 255 = ignored.
        radius: cells.
    """
    foreground, background = [], []
    cells = _cells(*labels.shape)
    for i, first in enumerate(cells):
        for second in cells[i + 1 :]:
            offset = np.subtract(second, first)
            if (offset**2).sum() >= radius**2 or labels[first] != labels[second] or labels[first] == 255:
                continue
            apart = field[:, first[0], first[1]] - field[:, second[0], second[1]]
            if labels[first] == 0:
                background += list(np.abs(apart))
            else:
                foreground += list(np.abs(apart - offset))
    return float(sum(np.mean(group) / 2 for group in (foreground, background) if group))
