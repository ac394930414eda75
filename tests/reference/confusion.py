"""Slow, obvious segmentation scores: one pixel at a time, one class at a time."""

from __future__ import annotations

import numpy as np

IGNORE = 255


def confusion_slow(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """``(C, C + 1)`` counts by two loops over the pixels; the last column is "unlabelled"."""
    counts = np.zeros((classes, classes + 1), dtype=np.int64)
    for y in range(truth.shape[0]):
        for x in range(truth.shape[1]):
            if truth[y, x] == IGNORE:
                continue
            column = classes if predicted[y, x] == IGNORE else predicted[y, x]
            counts[truth[y, x], column] += 1
    return counts


def iou_slow(truth: np.ndarray, predicted: np.ndarray, class_ids: list[int]) -> dict[int, float | None]:
    """IoU by class from sets of pixels; only pixels whose true class is listed exist."""
    pixels = [(int(t), int(p)) for t, p in zip(truth.ravel(), predicted.ravel()) if t in class_ids]
    result: dict[int, float | None] = {}
    for one in class_ids:
        in_truth = {number for number, (t, _) in enumerate(pixels) if t == one}
        in_prediction = {number for number, (_, p) in enumerate(pixels) if p == one}
        union = in_truth | in_prediction
        result[one] = len(in_truth & in_prediction) / len(union) if union else None
    return result
