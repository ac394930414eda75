"""Weighted pooling and its penalty, one class and one cell after the other, in float64."""

from __future__ import annotations

import math


def mask_scores(logits, focal_power: float, focal_shift: float) -> list[float]:
    """Scores of the foreground classes of one image from ``(C, h, w)`` logits, background first."""
    cells = [[float(value) for value in one.ravel()] for one in logits]
    sums = [sum(math.exp(values[place]) for values in cells) for place in range(len(cells[0]))]
    scores = []
    for values in cells[1:]:
        mask = [math.exp(value) / total for value, total in zip(values, sums)]
        size = sum(mask) / len(mask)
        pooled = sum(weight * value for weight, value in zip(mask, values)) / (1 + sum(mask))
        scores.append(pooled + (1 - size) ** focal_power * math.log(focal_shift + size))
    return scores
