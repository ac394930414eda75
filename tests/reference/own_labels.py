"""SingleStage's own labels and their costs, one pixel after the other, in float64."""

from __future__ import annotations

import math

import numpy as np

UNLABELLED = 255


def own_labels(masks: np.ndarray, foreground: float, background: float, floor: float) -> np.ndarray:
    """``(H, W)`` class ids of the ``(C, H, W)`` masks of one photograph."""
    limits = [max(floor, (foreground if c else background) * one.max()) for c, one in enumerate(masks)]
    labels = np.full(masks.shape[1:], UNLABELLED)
    for cell in np.ndindex(*labels.shape):
        sure = [c for c, limit in enumerate(limits) if masks[c][cell] > limit]
        if len(sure) == 1:
            labels[cell] = sure[0]
    return labels


def own_label_cost(logits: np.ndarray, labels: np.ndarray, shown: np.ndarray) -> float:
    """The cost of one photograph's ``(C, H, W)`` logits."""
    labelled = [int(one) for one in labels.ravel() if one != UNLABELLED]
    if set(labelled) != {0, *(int(one) + 1 for one in np.flatnonzero(shown))}:
        return 0.0
    total = 0.0
    for cell in np.ndindex(*labels.shape):
        label = int(labels[cell])
        if label != UNLABELLED:
            values = [math.exp(one[cell]) for one in logits.astype(np.float64)]
            rare = (len(labelled) - labelled.count(label)) / (len(labelled) + 1)
            total -= rare * math.log(values[label] / sum(values))
    return total / labels.size
