"""Intersection over union from counts of pixels, and the difference of two mean IoUs with its uncertainty."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DRAWS = 1000
"""Times that the photographs are drawn anew."""

SEED = 0
"""Of the draws: the same counts give the same interval."""

SHARE = 0.95
"""Of the draws whose differences lie within the interval."""


def class_ious(counts: NDArray[np.number]) -> NDArray[np.float64]:
    """IoU by class.

    Args:
        counts: ``(…, C, 3)`` pixels of each class that were found, that are there, and that were predicted.

    Returns:
        ``(…, C)`` in [0, 1]; NaN for a class that is neither there nor predicted.
    """
    hits = counts[..., 0]
    union = counts[..., 1] + counts[..., 2] - hits
    return np.divide(hits, union, out=np.full(union.shape, np.nan), where=union > 0)


def mean_iou(counts: NDArray[np.number]) -> NDArray[np.float64]:
    """Mean of the IoUs that exist, ``(…)`` in [0, 1], of ``(…, C, 3)`` counts; 0 where no class has one."""
    ious = class_ious(counts)
    return np.nansum(ious, axis=-1) / (~np.isnan(ious)).sum(axis=-1).clip(1)


class Interval(NamedTuple):
    """A difference and the bounds between which 95 % of the draws lie."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the sign of the difference is more than a matter of which photographs there were."""
        return self.low > 0 or self.high < 0


def miou_difference(first: NDArray[np.integer], second: NDArray[np.integer]) -> Interval:
    """How much higher the mIoU of the first labels is, with a 95 % interval by paired bootstrap over photographs.

    As many photographs as there are are drawn with replacement, the same ones for both; the mIoU of a draw is that of
    its summed counts, in which a photograph that was drawn twice counts twice.

    Args:
        first: ``(N, C, 3)`` counts of each photograph, as :func:`class_ious` takes them.
        second: those of the same photographs and classes.

    Raises:
        ValueError: the shapes differ, or there is no photograph.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3, the percentile interval.
    """
    if first.shape != second.shape or not len(first):
        raise ValueError(f"counts of shapes {first.shape} and {second.shape} cannot be compared")
    random, photographs = np.random.default_rng(SEED), len(first)
    times = np.stack([_times_drawn(random, photographs) for _ in range(DRAWS)])
    found, other = (mean_iou(_totals(times, one)) for one in (first, second))
    low, high = np.quantile(found - other, [(1 - SHARE) / 2, (1 + SHARE) / 2])
    return Interval(float(mean_iou(first.sum(axis=0)) - mean_iou(second.sum(axis=0))), float(low), float(high))


def _times_drawn(random: np.random.Generator, photographs: int) -> NDArray[np.float64]:
    drawn = random.integers(photographs, size=photographs)
    return np.bincount(drawn, minlength=photographs).astype(np.float64)


def _totals(times: NDArray[np.float64], counts: NDArray[np.integer]) -> NDArray[np.float64]:
    """``(draws, N)`` times ``(N, C, 3)``, exact: every sum of pixels is below 2^53."""
    return (times @ counts.reshape(len(counts), -1)).reshape(len(times), *counts.shape[1:])
