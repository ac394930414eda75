"""Labels for other backgrounds than the one that was set: scored for all of them at once, and the best one found.

A walk and a raw CAM depend on a background that somebody chose. Beside a method that needs none, only the best choice
shows what the scores themselves are worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wsgcn.ops.resize import resize_maps
from wsgcn.vocabulary import BACKGROUND

if TYPE_CHECKING:
    from wsgcn.methods import Method

THRESHOLDS = tuple(number / 20 for number in range(1, 20))
"""The T backgrounds that are tried, 0.05 to 0.95."""


@dataclass(frozen=True)
class Foreground:
    """What labels a photograph once a background is chosen.

    Attributes:
        labels: ``(H, W)`` uint8, the best foreground class of each pixel.
        limits: ``(H, W)`` in [0, 1], the background from which on the pixel is background.
    """

    labels: NDArray[np.uint8]
    limits: NDArray[np.floating]


def foregrounds(
    method: Method,
    cam_ids: NDArray[np.int64],
    cam_maps: NDArray[np.float32],
    class_ids: NDArray[np.int64],
    scores: NDArray[np.float32],
) -> dict[str, Foreground]:
    """Of the raw CAM, and of the propagated labels (``pseudo``) where the kind's background can be set afterwards.

    Args:
        method: asked for what another background would label.
        cam_ids: ``(K-1,)`` classes of the raw CAMs.
        cam_maps: ``(K-1, H, W)`` raw CAMs of every pixel.
        class_ids: ``(K,)``, background first.
        scores: ``(K, h, w)`` over the whole photograph.
    """
    height, width = cam_maps.shape[1:]
    maps = resize_maps(scores, (height, width))
    found = {"cam": Foreground(_best(cam_ids, cam_maps), cam_maps.max(axis=0))}
    limits = method.propagation.background_limits(maps)
    if limits is not None:
        found["pseudo"] = Foreground(_best(class_ids[1:], maps[1:]), limits)
    return found


def _best(class_ids: NDArray[np.int64], maps: NDArray[np.float32]) -> NDArray[np.uint8]:
    return class_ids.astype(np.uint8)[maps.argmax(axis=0)]


def sweep_counts(truth: NDArray[np.uint8], found: Foreground, class_ids: Sequence[int]) -> NDArray[np.int32]:
    """The counts of :func:`~wsgcn.evaluate.confusion.class_counts` for every threshold, in one pass over the pixels.

    Args:
        truth: ``(H, W)`` class ids; pixels of a class that is not listed, and 255, are ignored.
        found: the photograph's scores.
        class_ids: the K classes that are scored.

    Returns:
        ``(T, K, 3)``.
    """
    classes, levels = len(class_ids), len(THRESHOLDS) + 1
    place = np.full(256, classes)
    place[list(class_ids)] = np.arange(classes)
    scored = place[truth] < classes
    # How many thresholds leave the pixel to its foreground class, compared in the precision of the labels' scores.
    won = np.searchsorted(np.array(THRESHOLDS, dtype=found.limits.dtype), found.limits[scored])
    cells = (place[truth[scored]] * (classes + 1) + place[found.labels[scored]]) * levels + won
    pixels = np.bincount(cells, minlength=classes * (classes + 1) * levels).reshape(classes, classes + 1, levels)
    foreground = pixels[:, :, :0:-1].cumsum(axis=2)[:, :, ::-1]  # (K, K + 1, T), true class by predicted class
    background = pixels.sum(axis=(1, 2))[:, None] - foreground.sum(axis=1)  # (K, T), by true class
    hits = foreground[np.arange(classes), np.arange(classes)]
    predicted = foreground.sum(axis=0)[:classes]
    if BACKGROUND in class_ids:
        hits[place[BACKGROUND]] += background[place[BACKGROUND]]
        predicted[place[BACKGROUND]] += background.sum(axis=0)
    there = np.broadcast_to(pixels.sum(axis=(1, 2))[:, None], hits.shape)
    return np.stack([hits, there, predicted], axis=2).transpose(1, 0, 2).astype(np.int32)
