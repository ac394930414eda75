"""Where live class activation maps are reliable enough to teach a segmentation network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wsgcn.ops.densecrf import dense_crf
from wsgcn.ops.scores import with_background
from wsgcn.vocabulary import BACKGROUND, IGNORE

if TYPE_CHECKING:
    from wsgcn.segtrain.rrm import ReliableLabels


def reliable_labels(cams: NDArray[np.float32], rgb_u8: NDArray[np.uint8], params: ReliableLabels) -> NDArray[np.uint8]:
    """Label the pixels whose class two dense CRFs and the maps themselves are sure of.

    Args:
        cams: ``(K-1, h, w)`` in [0, 1] of the classes that the photograph shows, at least one.
        rgb_u8: ``(h, w, 3)`` photograph of the same size.
        params: exponents, CRF, pixels a cell of these maps, and thresholds.

    Returns:
        ``(h, w)`` uint8 positions among the photograph's K classes (0 = background), 255 = not reliable.

    Source: Zhang et al., "Reliability Does Matter" (AAAI 2020), its public ``compute_seg_label``.
    """
    low, high = (dense_crf(with_background(cams, alpha), rgb_u8, params.crf, params.stride) for alpha in params.alphas)
    return sure_labels(cams, low, high, params)


def sure_labels(
    cams: NDArray[np.floating], low: NDArray[np.floating], high: NDArray[np.floating], params: ReliableLabels
) -> NDArray[np.uint8]:
    """The labels that follow from both refined score maps.

    Args:
        cams: ``(K-1, h, w)`` in [0, 1].
        low: ``(K, h, w)`` CRF probabilities with the small α, which finds foreground.
        high: ``(K, h, w)`` CRF probabilities with the large α, which finds background.
        params: thresholds.

    Returns:
        ``(h, w)`` uint8 positions among the K classes, 255 = not reliable.
    """
    found = low.argmax(axis=0)
    labels = np.where(found == BACKGROUND, IGNORE, found).astype(np.uint8)
    labels[high.argmax(axis=0) == BACKGROUND] = BACKGROUND
    best = np.maximum(high[BACKGROUND], low[1:].max(axis=0))
    labels[(best < params.min_prob) | ~_sure(cams, np.unique(found).tolist(), params)] = IGNORE
    return labels


def _sure(cams: NDArray[np.floating], found: list[int], params: ReliableLabels) -> NDArray[np.bool_]:
    """Where a map is sure of itself, whichever class that is; only those that the first CRF found somewhere count."""
    scores = with_background(cams.astype(np.float32), params.alphas[1])
    winner = scores.argmax(axis=0)
    sure = np.zeros(winner.shape, dtype=np.bool_)
    for position in found:
        values, region = scores[position], winner == position
        least = params.min_background if position == BACKGROUND else _threshold(values[region], params)
        sure |= region & (values > least)
    return sure


def _threshold(values: NDArray[np.floating], params: ReliableLabels) -> float:
    """What the highest ``confident_share`` of a class's values above ``cam_floor`` exceed; 1 where there are none."""
    order = np.sort(values[values > params.cam_floor])
    return float(order[int(len(order) * (1 - params.confident_share))]) if len(order) else 1.0
