"""k-means, and the sub-categories that it finds among the photographs of each class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from wsgcn.runtime.seeds import generator_for

STARTS, MOST_STEPS = 10, 300
"""Starts of one clustering, of which the best counts, and steps of each: what scikit-learn does unless told otherwise.

Source: scikit-learn's ``KMeans``, which the public SC-CAM calls, in the version of its time.
"""


def sub_categories(
    features: NDArray[np.float32],
    class_ids: Sequence[Sequence[int]],
    foreground_classes: int,
    clusters: int,
    run_seed: int,
    round_number: int,
) -> list[list[int]]:
    """One sub-category of each class that a photograph shows, by clustering the photographs of each class.

    A photograph with several classes is among those of each of them. A class with fewer photographs than ``clusters``
    has as many sub-categories as photographs.

    Args:
        features: ``(M, F)``, one row a photograph.
        class_ids: the foreground classes of each photograph, 1 … C-1.
        foreground_classes: C - 1.
        clusters: k, sub-categories of a class.
        run_seed: seed of the run.
        round_number: part of the seed, so that each round draws anew.

    Returns:
        For each photograph its sub-categories in the order of its classes: of class c they have the numbers
        (c-1)·k + 1 … c·k.

    Source: ``create_pseudo_label.py`` of the public SC-CAM (Chang et al., CVPR 2020).
    """
    found: list[dict[int, int]] = [{} for _ in class_ids]
    for class_id in range(1, foreground_classes + 1):
        shown = [place for place, ids in enumerate(class_ids) if class_id in ids]
        if shown:
            generator = generator_for(run_seed, "sub-categories", str(round_number), str(class_id))
            for place, cluster in zip(shown, k_means(features[shown], clusters, generator).tolist(), strict=True):
                found[place][class_id] = (class_id - 1) * clusters + cluster + 1
    return [[own[class_id] for class_id in ids] for own, ids in zip(found, class_ids, strict=True)]


def k_means(points: NDArray[np.floating], clusters: int, generator: torch.Generator) -> NDArray[np.intp]:
    """Clusters with the least sum of squared distances to their means, as far as several starts find it.

    Args:
        points: ``(N, F)``, N > 0.
        clusters: at most N of them are made.
        generator: draws the starts.

    Returns:
        ``(N,)`` numbers 0 … min(``clusters``, N) - 1; where points are alike, some may have no point.

    Source: Lloyd's steps from starts by k-means++ (Arthur and Vassilvitskii, SODA 2007).
    """
    centred = points.astype(np.float64)
    centred -= centred.mean(axis=0)  # what is far from the origin would lose digits in its square
    count = min(clusters, len(points))
    found = [descended(centred, spread_start(centred, count, generator)) for _ in range(STARTS)]
    return min(found, key=lambda one: one[1])[0]


def spread_start(points: NDArray[np.float64], count: int, generator: torch.Generator) -> NDArray[np.float64]:
    """``count`` of ``(N, F)`` points, each drawn with the squared distance to those before it as its weight."""
    nearest = np.ones(len(points))  # the first one: all alike
    chosen = []
    for draw in torch.rand(count, generator=generator, dtype=torch.float64).tolist():
        summed = np.cumsum(nearest)
        chosen.append(min(int(np.searchsorted(summed, draw * summed[-1], side="right")), len(points) - 1))
        apart = ((points - points[chosen[-1]]) ** 2).sum(axis=1)
        nearest = apart if len(chosen) == 1 else np.minimum(nearest, apart)
    return points[chosen]


def descended(points: NDArray[np.float64], centres: NDArray[np.float64]) -> tuple[NDArray[np.intp], float]:
    """Lloyd's steps until no point changes its cluster; a cluster without points keeps its centre.

    Args:
        points: ``(N, F)``.
        centres: ``(k, F)``, where the steps start.

    Returns:
        ``(N,)`` numbers of clusters, and the sum of the squared distances to their centres.
    """
    centres, squares = centres.copy(), (points**2).sum(axis=1, keepdims=True)
    labels = np.full(len(points), -1)
    for _ in range(MOST_STEPS):
        apart = squares - 2 * points @ centres.T + (centres**2).sum(axis=1)
        before, labels = labels, apart.argmin(axis=1)
        if np.array_equal(labels, before):
            break
        for cluster in np.unique(labels):
            centres[cluster] = points[labels == cluster].mean(axis=0)
    return labels, float(((points - centres[labels]) ** 2).sum())
