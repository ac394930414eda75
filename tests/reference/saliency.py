"""Slow, obvious version of what saliency says of the background."""

from __future__ import annotations

import numpy as np

UNLABELLED = 255


def background_by_saliency_slow(
    labels: np.ndarray, cams: np.ndarray, saliency: np.ndarray, threshold: float, cam: float
):
    """As MCIS and GroupWSSS have it: the argmax of (1 - saliency, CAMs).

    A pixel with a CAM above ``cam`` counts as salient, and a salient background is left open. Where a class wins, the
    label is what the CAMs' own rule says of it, if that is a class.
    """
    found = np.empty(labels.shape, np.uint8)
    for row, column in np.ndindex(*labels.shape):
        background = 1 - saliency[row, column]
        salient = max([saliency[row, column]] + [float(value > cam) for value in cams[:, row, column]])
        if max(cams[:, row, column]) > background:
            found[row, column] = UNLABELLED if labels[row, column] == 0 else labels[row, column]
        elif salient < threshold:
            found[row, column] = 0
        else:
            found[row, column] = UNLABELLED
    return found
