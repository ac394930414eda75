"""Score maps of one image: CAMs with a zero of their own, with a background, as probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def above(cams: NDArray[np.float32], cut: float) -> NDArray[np.float32]:
    """``(K-1, h, w)`` CAMs in [0, 1] with ``cut`` in [0, 1) as their zero, still in [0, 1].

    The published exponents of the background take a CAM that is close to 0 on background for granted. A small or
    briefly trained classifier's is not, and then next to nothing is labelled background.
    """
    return ((cams - cut).clip(0) / (1 - cut)).astype(np.float32)


def with_constant(cams: NDArray[np.float32], background: float) -> NDArray[np.float32]:
    """``(K-1, h, w)`` CAMs to ``(K, h, w)`` scores with ``background`` everywhere in front, as IRNet has it."""
    return np.concatenate([np.full((1, *cams.shape[1:]), background), cams]).astype(np.float32)


def with_background(cams: NDArray[np.float32], alpha: float) -> NDArray[np.float32]:
    """``(K-1, h, w)`` CAMs to ``(K, h, w)`` scores with the background (1 - max CAM)^α in front.

    Source: PSA (Ahn and Kwak, CVPR 2018), eq. (2).
    """
    background = (1 - cams.max(axis=0, keepdims=True)) ** alpha
    return np.concatenate([background, cams]).astype(np.float32)


def to_probs(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """``(K, h, w)`` scores ≥ 0 divided by their sum over K, for the dense CRF.

    Mean field ignores a factor common to all classes of a pixel, so this changes only what is clipped.
    """
    return (scores / scores.sum(axis=0, keepdims=True).clip(1e-8)).astype(np.float32)
