"""DSRG written out cell by cell: region growing as a flood fill, and its two losses."""

from __future__ import annotations

import math

import numpy as np

UNLABELLED = 255


def grown_by_flooding(seeds: np.ndarray, probs: np.ndarray, foreground: float, background: float) -> np.ndarray:
    """Labels spread from one cell to the next, each seed on its own.

    Args:
        seeds: ``(h, w)`` positions among the K classes, 255 = no seed.
        probs: ``(K, h, w)``.
        foreground: probability above which a cell's best class counts, if it is not the background.
        background: likewise, if it is.

    Returns:
        ``(h, w)`` positions, 255 = not reached.

    Source: Huang et al. (CVPR 2018).
    """
    height, width = seeds.shape

    def called(y: int, x: int) -> int:
        best = max(range(len(probs)), key=lambda k: (probs[k, y, x], -k))
        sure = probs[best, y, x] > (foreground if best else background)
        return best if sure else int(seeds[y, x])

    labels = seeds.copy()
    for y in range(height):
        for x in range(width):
            if seeds[y, x] == UNLABELLED or called(y, x) != seeds[y, x]:
                continue
            waiting, visited = [(y, x)], {(y, x)}
            while waiting:
                row, column = waiting.pop()
                if seeds[row, column] == UNLABELLED:
                    labels[row, column] = seeds[y, x]
                around = [(row + dy, column + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
                for cell in around:
                    inside = 0 <= cell[0] < height and 0 <= cell[1] < width
                    if inside and cell not in visited and called(*cell) == seeds[y, x]:
                        visited.add(cell)
                        waiting.append(cell)
    return labels


def seeding_loss(probs: np.ndarray, labels: np.ndarray) -> float:
    """Mean cost of the background's labels, and of the foreground's, in each photograph; mean over these.

    Args:
        probs: ``(B, C, h, w)``.
        labels: ``(B, h, w)`` class ids, 255 = unlabelled.
    """
    total = 0.0
    for one, label in zip(probs, labels):
        costs: dict[bool, list[float]] = {False: [], True: []}
        for y, x in np.ndindex(label.shape):
            if label[y, x] != UNLABELLED:
                costs[bool(label[y, x])].append(-math.log(one[label[y, x], y, x]))
        total += sum(sum(some) / len(some) for some in costs.values() if some)
    return total / len(probs)


def boundary_loss(probs: np.ndarray, refined: np.ndarray) -> float:
    """Mean over cells of KL(refined ‖ probs), each quotient kept in [1/20, 20].

    Args:
        probs: ``(B, C, h, w)``.
        refined: ``(B, C, h, w)``, after the dense CRF.
    """
    batch, classes, height, width = probs.shape
    total = 0.0
    for b, k, y, x in np.ndindex(batch, classes, height, width):
        p, q = probs[b, k, y, x], refined[b, k, y, x]
        total += q * math.log(min(max(q / p, 1 / 20), 20))
    return total / (batch * height * width)
