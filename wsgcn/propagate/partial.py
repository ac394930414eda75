"""Partial pseudo labels P: what the CAMs and a dense CRF are confident of."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wsgcn.ops.densecrf import dense_crf
from wsgcn.ops.saliency import background_by_saliency
from wsgcn.ops.scores import to_probs, with_background
from wsgcn.vocabulary import IGNORE

if TYPE_CHECKING:
    from wsgcn.propagate.gcn import PartialLabels


def partial_labels(
    cams: NDArray[np.float32],
    rgb_u8: NDArray[np.uint8],
    params: PartialLabels,
    saliency: NDArray[np.float32] | None = None,
) -> NDArray[np.uint8]:
    """Label the cells that are certain to be background or one class, and leave the rest unlabelled.

    Args:
        cams: ``(K-1, h, w)`` in [0, 1], close to 0 on background.
        rgb_u8: ``(h, w, 3)`` photograph at the grid's resolution.
        params: exponents, CRF and thresholds.
        saliency: ``(h, w)`` in [0, 1], which then says where the background is.

    Returns:
        ``(h, w)`` uint8 positions among the image's K classes (0 = background), 255 = unlabelled.

    Source: Ahn and Kwak, "Learning Pixel-level Semantic Affinity" (CVPR 2018), section 3.2; the confidence rules
    are those of the public WSGCN code.
    """
    low, high = (dense_crf(to_probs(with_background(cams, alpha)), rgb_u8, params.crf) for alpha in params.alphas)
    labels = confident_labels(cams, low, high, params)
    if params.saliency is None or saliency is None:
        return labels
    return background_by_saliency(labels, cams, saliency, params.saliency.threshold, params.saliency.cam)


def confident_labels(
    cams: NDArray[np.floating], low: NDArray[np.floating], high: NDArray[np.floating], params: PartialLabels
) -> NDArray[np.uint8]:
    """The labels that follow from both refined score maps.

    Args:
        cams: ``(K-1, h, w)`` in [0, 1].
        low: ``(K, h, w)`` CRF probabilities with the small α, which finds foreground.
        high: ``(K, h, w)`` CRF probabilities with the large α, which finds background.
        params: thresholds.

    Returns:
        ``(h, w)`` uint8 positions among the K classes, 255 = unlabelled.
    """
    background_score = (1 - cams.max(axis=0)) ** params.alphas[1]
    foreground = np.where(low.max(axis=0) >= params.min_prob, low.argmax(axis=0), 0)
    labels = np.full(cams.shape[1:], IGNORE, dtype=np.uint8)
    winner = np.concatenate([background_score[None], cams]).argmax(axis=0)
    for position, cam in enumerate(cams, start=1):
        confident = _top_share(cam, winner == position, params.confident_share, params.cam_floor)
        labels[confident & (foreground == position)] = position
    is_background = high.argmax(axis=0) == 0
    labels[is_background] = IGNORE
    confident = (high[0] >= params.min_prob) & (background_score > params.min_background)
    labels[is_background & confident] = 0
    return labels


def _top_share(cam: NDArray[np.floating], region: NDArray[np.bool_], share: float, floor: float) -> NDArray[np.bool_]:
    """The ``share`` of a class's own region (CAM above ``floor``) where its CAM is highest."""
    values = np.sort(cam[region & (cam > floor)])
    kept = math.ceil(share * values.size)
    if kept == 0:
        return np.zeros_like(region)
    threshold = values[-kept]
    return region & (cam >= threshold) & (cam > floor)
