"""Where the CAMs are confident enough to teach an affinity network, refined by a dense CRF."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wsgcn.ops.densecrf import dense_crf, label_probs
from wsgcn.ops.grid import Grid
from wsgcn.ops.resize import grid_size
from wsgcn.ops.scores import above, to_probs, with_background, with_constant
from wsgcn.vocabulary import BACKGROUND, IGNORE

NO_SCORE = 1e-5
"""Mean probability below which a cell lies beyond the photograph, PSA."""

if TYPE_CHECKING:
    from wsgcn.affinity.affinitynet import FeatureSeeds
    from wsgcn.affinity.boundary import BoundarySeeds


def boundary_seeds(cams: NDArray[np.float32], rgb_u8: NDArray[np.uint8], params: BoundarySeeds) -> NDArray[np.uint8]:
    """IRNet's labels: foreground where a strict threshold says so, background where a lax one does too.

    Args:
        cams: ``(K-1, H, W)`` in [0, 1].
        rgb_u8: ``(H, W, 3)`` photograph of the same size.
        params: thresholds and CRF.

    Returns:
        ``(H, W)`` uint8 positions among the image's K classes, 255 = ignored.
    """

    def refined(threshold: float) -> NDArray[np.intp]:
        labels = with_constant(cams, threshold).argmax(axis=0)
        return dense_crf(label_probs(labels, len(cams) + 1, params.gt_prob), rgb_u8, params.crf).argmax(axis=0)

    return _combine(refined(params.foreground), refined(params.background))


def affinity_seeds(cams: NDArray[np.float32], rgb_u8: NDArray[np.uint8], params: FeatureSeeds) -> NDArray[np.uint8]:
    """PSA's labels: foreground against the weak background (1 - max)^4, background against the strong (1 - max)^32.

    Shapes are those of :func:`boundary_seeds`.
    """
    cams = above(cams, params.cam_cut)

    def refined(alpha: float) -> NDArray[np.intp]:
        return dense_crf(to_probs(with_background(cams, alpha)), rgb_u8, params.crf).argmax(axis=0)

    return _believed(*(refined(alpha) for alpha in params.alphas))


def affinity_seed_scores(
    cams: NDArray[np.float32], rgb_u8: NDArray[np.uint8], params: FeatureSeeds
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What PSA averages over cells: the CRF's probabilities with the weak background, and with the strong one.

    Args:
        cams: ``(K-1, H, W)`` in [0, 1].
        rgb_u8: ``(H, W, 3)`` photograph of the same size.
        params: exponents and CRF, which takes the scores as they are.

    Returns:
        Two arrays ``(K, H, W)``.
    """
    cams = above(cams, params.cam_cut)
    low, high = (dense_crf(with_background(cams, alpha), rgb_u8, params.crf) for alpha in params.alphas)
    return low, high


def cell_labels(low: NDArray[np.float32], high: NDArray[np.float32], stride: int) -> NDArray[np.uint8]:
    """PSA's labels of a crop's cells: both maps averaged over the pixels of each cell, then the best class of each.

    Args:
        low: ``(K, H, W)`` of :func:`affinity_seed_scores`, 0 beyond the photograph.
        high: likewise.
        stride: pixels a cell.

    Returns:
        ``(⌈H / stride⌉, ⌈W / stride⌉)`` positions among the K classes, 255 = ignored, also beyond the photograph.
    """
    size = (low.shape[1], low.shape[2])
    pooled = [Grid(grid_size(*size, stride), size, stride).pooled(maps) for maps in (low, high)]
    labels = _believed(*(maps.argmax(axis=0) for maps in pooled))
    labels[np.concatenate(pooled).max(axis=0) < NO_SCORE] = IGNORE
    return labels


def _believed(low: NDArray[np.intp], high: NDArray[np.intp]) -> NDArray[np.uint8]:
    """Where both CRFs contradict each other, PSA believes the second one's background."""
    return np.where(high == BACKGROUND, BACKGROUND, np.where(low == BACKGROUND, IGNORE, low)).astype(np.uint8)


def _combine(strict: NDArray[np.intp], lax: NDArray[np.intp]) -> NDArray[np.uint8]:
    """Foreground of ``strict``, background where ``lax`` agrees that there is nothing, else ignored."""
    labels = np.full(strict.shape, IGNORE, dtype=np.uint8)
    labels[strict != BACKGROUND] = strict[strict != BACKGROUND]
    labels[(strict == BACKGROUND) & (lax == BACKGROUND)] = BACKGROUND
    return labels
