"""The one definition of segmentation quality, used for the labels of every stage.

An unlabelled pixel is a miss: it lowers the IoU of its true class, and the coverage says how many there are. A class
that is neither in the truth nor predicted has no IoU and is left out of the mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wsgcn.errors import DataError
from wsgcn.ops.iou import class_ious, mean_iou
from wsgcn.vocabulary import BACKGROUND, IGNORE

STRIP = 2**22
"""Pixels that are counted at once."""


def confusion(truth: NDArray[np.uint8], predicted: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    """Count pixels by true and predicted class. Counts of several images add up.

    Args:
        truth: ``(H, W)`` class ids; 255 is not counted at all.
        predicted: ``(H, W)`` class ids; 255 is unlabelled.
        classes: number of classes C.

    Returns:
        ``(C, C + 1)`` int64, true class by predicted class; the last column holds unlabelled pixels.

    Raises:
        ValueError: the sizes differ, or a label is neither a class id nor 255.
    """
    if truth.shape != predicted.shape:
        raise ValueError(f"labels of shape {predicted.shape} do not fit the truth of shape {truth.shape}")
    pairs = np.zeros(256 * 256, dtype=np.int64)
    for start in range(0, truth.size, STRIP):  # whole numbers of all pixels at once would be 8 times as large as both
        rows, columns = (one.reshape(-1)[start : start + STRIP].astype(np.int64) for one in (truth, predicted))
        pairs += np.bincount(rows * 256 + columns, minlength=len(pairs))
    counts = pairs.reshape(256, 256)[:IGNORE]
    if counts[classes:].any() or counts[:, classes:IGNORE].any():
        raise ValueError(f"a label is not below the number of classes, {classes}")
    return np.concatenate([counts[:classes, :classes], counts[:classes, IGNORE:]], axis=1)


def count_labels(predicted: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    """Count pixels by predicted class, where there is no truth. Counts of several images add up.

    Args:
        predicted: ``(H, W)`` class ids; 255 is unlabelled.
        classes: number of classes C.

    Returns:
        ``(C + 1,)`` int64; the last one holds unlabelled pixels.

    Raises:
        ValueError: a label is neither a class id nor 255.
    """
    return confusion(np.zeros_like(predicted), predicted, classes)[BACKGROUND]


def class_counts(counts: NDArray[np.int64], class_ids: Sequence[int]) -> NDArray[np.int64]:
    """What the IoUs of some classes need of a confusion matrix; pixels whose true class is not listed are ignored.

    Args:
        counts: ``(C, C + 1)`` from :func:`confusion`.
        class_ids: the K classes that are scored.

    Returns:
        ``(K, 3)``: pixels of each class that were found, that are there, and that were predicted.
    """
    rows, listed = counts[list(class_ids)], list(class_ids)
    return np.stack([rows[np.arange(len(rows)), listed], rows.sum(axis=1), rows[:, listed].sum(axis=0)], axis=1)


def labelled_share(counts: NDArray[np.int64]) -> float:
    """The share of the pixels that are labelled, from ``(C + 1,)`` counts of :func:`count_labels`."""
    return 1 - float(counts[-1] / counts.sum())


@dataclass(frozen=True)
class Quality:
    """How good the labels of one stage are; fractions in [0, 1].

    Attributes:
        iou: intersection over union by class id, None for a class that is in neither truth nor prediction.
        miou: mean of the IoUs that exist.
        pixel_accuracy: share of the scored pixels that have their true class; an unlabelled one has not.
        coverage: share of the scored pixels that are labelled.
    """

    iou: dict[int, float | None]
    miou: float
    pixel_accuracy: float
    coverage: float


def label_quality(counts: NDArray[np.int64], class_ids: Sequence[int]) -> Quality:
    """Score a confusion matrix on some of its classes.

    Pixels whose true class is not listed are ignored. On the other pixels, a prediction of a class that is not listed
    is a miss.

    Args:
        counts: ``(C, C + 1)`` from :func:`confusion`.
        class_ids: the classes that are scored.

    Raises:
        DataError: no pixel has one of these classes.
    """
    rows, found = counts[list(class_ids)], class_counts(counts, class_ids)
    total = int(rows.sum())
    if total == 0:
        raise DataError("no pixel of the ground truth has a class that is scored: check evaluate.masks and .classes")
    ious = class_ious(found).tolist()
    return Quality(
        iou={one: None if math.isnan(iou) else iou for one, iou in zip(class_ids, ious)},
        miou=float(mean_iou(found)),
        pixel_accuracy=float(found[:, 0].sum() / total),
        coverage=1 - float(rows[:, -1].sum() / total),
    )


@dataclass(frozen=True)
class PartialQuality:
    """How many partial labels there are and how many of them are right; fractions, None for 0 of 0.

    Attributes:
        share: by class id, the cells given that label among all scored cells.
        precision: by class id, the cells truly of that class among those given that label.
        foreground_share: the same over all classes but background.
        foreground_precision: the same over all classes but background; the right foreground class is needed.
    """

    share: dict[int, float]
    precision: dict[int, float | None]
    foreground_share: float
    foreground_precision: float | None


def partial_label_quality(counts: NDArray[np.int64], class_ids: Sequence[int]) -> PartialQuality:
    """Judge labels that cover only the confident cells.

    Args:
        counts: ``(C, C + 1)`` from :func:`confusion`, of grid cells.
        class_ids: the classes that are scored.

    Raises:
        DataError: no cell has one of these classes.
    """
    rows = counts[list(class_ids)]
    total = int(rows.sum())
    if total == 0:
        raise DataError("no cell of the ground truth has a class that is scored: check evaluate.masks and .classes")
    given = dict(zip(class_ids, rows[:, list(class_ids)].sum(axis=0).tolist()))
    right = {one: int(counts[one, one]) for one in class_ids}
    things = [one for one in class_ids if one != BACKGROUND]
    all_given = sum(given[one] for one in things)
    return PartialQuality(
        share={one: given[one] / total for one in class_ids},
        precision={one: right[one] / given[one] if given[one] else None for one in class_ids},
        foreground_share=all_given / total,
        foreground_precision=sum(right[one] for one in things) / all_given if all_given else None,
    )
