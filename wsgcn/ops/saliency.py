"""Saliency in the place of the CAMs' own word on where the background is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wsgcn.vocabulary import BACKGROUND, IGNORE


def background_by_saliency(
    labels: NDArray[np.uint8],
    cams: NDArray[np.floating],
    saliency: NDArray[np.floating],
    threshold: float,
    cam: float,
) -> NDArray[np.uint8]:
    """Labels whose background is what does not stand out; the CAMs' own background counts no more.

    Where the background's score, 1 - saliency, is at least the best CAM, a pixel is background, but for two kinds that
    are unlabelled: one that stands out, though no class has it, and one of which a CAM is certain, though it does not
    stand out. Elsewhere foreground stays.

    Args:
        labels: ``(h, w)`` positions among the image's K classes by its CAMs (0 = background), 255 = unlabelled.
        cams: ``(K-1, h, w)`` in [0, 1].
        saliency: ``(h, w)`` in [0, 1].
        threshold: saliency from which on nothing is background.
        cam: CAM value above which nothing is background.

    Returns:
        ``(h, w)`` uint8 positions, 255 = unlabelled.

    Source: ``gen_labels.py`` of GroupWSSS (Li et al., AAAI 2021; ``cam`` 0.8) and ``gen_gt.py`` of MCIS (Sun et al.,
    ECCV 2020; 0.95), whose threshold is 32 of 255. They also unlabel foreground where another score is above 0.9 or
    0.99; here the CAMs' own labels say where foreground is certain.
    """
    best = cams.max(axis=0)
    foreground = np.where(labels == BACKGROUND, IGNORE, labels)
    background = np.where((saliency < threshold) & (best <= cam), BACKGROUND, IGNORE)
    return np.where(1 - saliency >= best, background, foreground).astype(np.uint8)
