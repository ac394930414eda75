"""PAMR one cell after the other, in float64."""

from __future__ import annotations

import numpy as np


def around(cell: tuple[int, int], grid: tuple[int, int], dilations) -> list[tuple[int, int]]:
    """The eight neighbours of a cell at each distance; what would lie outside is the outermost cell there."""
    found = []
    for step in dilations:
        for dy in (-step, 0, step):
            for dx in (-step, 0, step):
                if (dy, dx) != (0, 0):
                    found.append((min(max(cell[0] + dy, 0), grid[0] - 1), min(max(cell[1] + dx, 0), grid[1] - 1)))
    return found


def weights_of(colours: np.ndarray, cell: tuple[int, int], dilations) -> np.ndarray:
    """``(P,)`` softmax of minus the mean over the channels of |x_i - x_j| / (0.1 σ_i), for one cell i."""
    near = around(cell, colours.shape[1:], dilations)
    distances = np.zeros(len(near))
    for channel in colours.astype(np.float64):
        values = np.array([channel[one] for one in near])
        with_itself = np.array([*values, *[channel[cell]] * len(dilations)])
        deviation = np.sqrt(((with_itself - with_itself.mean()) ** 2).sum() / (len(with_itself) - 1))
        distances += np.abs(values - channel[cell]) / (0.1 * deviation + 1e-8) / len(colours)
    weights = np.exp(distances.min() - distances)
    return weights / weights.sum()


def pamr(colours: np.ndarray, masks: np.ndarray, dilations, iterations: int) -> np.ndarray:
    """``(K, h, w)`` masks refined by ``(3, h, w)`` colours."""
    current = masks.astype(np.float64)
    for _ in range(iterations):
        after = np.empty_like(current)
        for cell in np.ndindex(*current.shape[1:]):
            weights = weights_of(colours, cell, dilations)
            near = around(cell, current.shape[1:], dilations)
            after[:, *cell] = sum(weight * current[:, *other] for weight, other in zip(weights, near))
        current = after
    return current
