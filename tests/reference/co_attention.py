"""Slow, obvious versions of MCIS's co-attention, losses and maps: one cell, photograph or class at a time, float64."""

from __future__ import annotations

import math

import numpy as np


def attended_slow(one: np.ndarray, other: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(D, N)`` features of two photographs: for each cell of one, the other's features by likeness, ``(D, N)``.

    The likeness of cell i of the first and j of the second is (W f_i) · g_j.
    """
    likeness = np.array([[float((weight @ f) @ g) for g in other.T] for f in one.T])

    def weights(row):
        powers = np.exp(row - row.max())
        return powers / powers.sum()

    of_other = np.stack([other @ weights(likeness[i]) for i in range(one.shape[1])], axis=1)
    of_one = np.stack([one @ weights(likeness[:, j]) for j in range(other.shape[1])], axis=1)
    return of_other, of_one


def class_loss_slow(logits: np.ndarray, target: np.ndarray) -> float:
    """Mean over photographs and classes of the cross-entropy of a sigmoid."""
    costs = []
    for row, shown in zip(logits, target):
        for logit, one in zip(row, shown):
            prob = 1 / (1 + math.exp(-logit))
            costs.append(-math.log(prob if one else 1 - prob))
    return sum(costs) / len(costs)


def common_scores_slow(maps: list[np.ndarray], min_prob: float) -> np.ndarray:
    """``(K-1, h, w)`` maps of one size: cut at 0, divided by its maximum; the first counts, others if likely."""
    total = np.zeros_like(maps[0])
    for number, one in enumerate(maps):
        for place, own in enumerate(one):
            if number > 0 and 1 / (1 + math.exp(-own.mean())) <= min_prob:
                continue
            positive = np.maximum(own, 0)
            total[place] += positive / positive.max() if positive.max() > 0 else 0
    return total
