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


def iou_counts_slow(truth: np.ndarray, predicted: np.ndarray, class_ids: list[int]) -> list[list[int]]:
    """Pixels of each class that were found, that are there, and that were predicted, by a loop over the pixels."""
    pixels = [(int(t), int(p)) for t, p in zip(truth.ravel(), predicted.ravel()) if t in class_ids]
    return [
        [pixels.count((one, one)), sum(t == one for t, _ in pixels), sum(p == one for _, p in pixels)]
        for one in class_ids
    ]


def miou_slow(counts: list[list[int]]) -> float:
    """Mean IoU of such counts, over the classes that are there or predicted."""
    ious = [hits / (there + predicted - hits) for hits, there, predicted in counts if there + predicted]
    return sum(ious) / len(ious)


def difference_slow(first: np.ndarray, second: np.ndarray, draws: int, seed: int) -> tuple[float, float, float]:
    """mIoU of the first less that of the second, and the bounds of the middle 95 % of the draws; one at a time."""

    def difference(photographs) -> float:
        totals = [sum(counts[one].astype(int) for one in photographs).tolist() for counts in (first, second)]
        return miou_slow(totals[0]) - miou_slow(totals[1])

    random, size = np.random.default_rng(seed), len(first)
    found = sorted(difference(random.integers(size, size=size)) for _ in range(draws))
    bounds = []
    for share in (0.025, 0.975):
        position = share * (draws - 1)
        below = int(position)
        bounds.append(found[below] + (position - below) * (found[below + 1] - found[below]))
    return difference(range(size)), *bounds
