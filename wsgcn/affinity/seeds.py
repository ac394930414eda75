"""Where the CAMs are confident enough to teach an affinity network, refined by a dense CRF."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wsgcn.ops.densecrf import dense_crf, label_probs
from wsgcn.ops.scores import above, to_probs, with_background, with_constant
from wsgcn.vocabulary import BACKGROUND, IGNORE

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

    low, high = (refined(alpha) for alpha in params.alphas)
    labels = _combine(low, high)
    labels[high == BACKGROUND] = BACKGROUND  # where both CRFs contradict each other, PSA believes the second
    return labels


def _combine(strict: NDArray[np.intp], lax: NDArray[np.intp]) -> NDArray[np.uint8]:
    """Foreground of ``strict``, background where ``lax`` agrees that there is nothing, else ignored."""
    labels = np.full(strict.shape, IGNORE, dtype=np.uint8)
    labels[strict != BACKGROUND] = strict[strict != BACKGROUND]
    labels[(strict == BACKGROUND) & (lax == BACKGROUND)] = BACKGROUND
    return labels
