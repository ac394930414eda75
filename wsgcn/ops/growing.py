"""Seeded region growing: labels spread from seeds over connected cells of the same, probable class."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from wsgcn.vocabulary import BACKGROUND, IGNORE

TOUCHING = np.ones((3, 3), dtype=bool)
"""Cells that touch in a side or in a corner are connected."""


class GrowthParams(Protocol):
    """The probabilities above which a cell may be grown over, in [0, 1]."""

    @property
    def foreground(self) -> float: ...  # noqa: D102
    @property
    def background(self) -> float: ...  # noqa: D102


def grown(seeds: NDArray[np.uint8], probs: NDArray[np.floating], params: GrowthParams) -> NDArray[np.uint8]:
    """Grow each class from its seeds over cells that are connected with them and probably of that class.

    A seed is never relabelled. A cell is of a class if that is its most probable one and probable enough, or else if it
    is a seed of it; a region of such cells is labelled where it holds a seed of its class.

    Args:
        seeds: ``(h, w)`` positions among the K classes (0 = background), 255 = no seed.
        probs: ``(K, h, w)`` in [0, 1].
        params: thresholds of the most probable class.

    Returns:
        ``(h, w)`` uint8 positions, 255 = not reached.

    Source: Huang et al., "Weakly-Supervised Semantic Segmentation Network with Deep Seeded Region Growing" (CVPR 2018),
    and its public code.
    """
    labels = seeds.copy()
    called = _called(seeds, probs, params)
    for position in range(len(probs)):
        regions, _ = scipy.ndimage.label(called == position, TOUCHING)
        reached = np.isin(regions, np.setdiff1d(regions[seeds == position], [0]))
        labels[reached & (seeds == IGNORE)] = position
    return labels


def _called(seeds: NDArray[np.uint8], probs: NDArray[np.floating], params: GrowthParams) -> NDArray[np.uint8]:
    """The class of each cell that is probable enough, else its seed's."""
    best = probs.argmax(axis=0).astype(np.uint8)
    threshold = np.where(best == BACKGROUND, params.background, params.foreground)
    return np.where(probs.max(axis=0) > threshold, best, seeds)
