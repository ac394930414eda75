"""Labels from the probabilities of a segmentation network: evaluating, predicting and serving go this one way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wsgcn.ops.densecrf import CrfParams, dense_crf
from wsgcn.ops.resize import upsample_labels
from wsgcn.ops.scores import to_probs
from wsgcn.runtime.cores import worker_count

SHARED_DEVICE_WORKERS = 4
"""Processes on one accelerator: enough to keep it busy during the CRFs, few enough for its memory."""
LIKELY = 0.05
"""A class that nowhere reaches this probability takes no part in the CRF."""


def processes_on(device: str, workers: int, memory: int) -> int:
    """How many processes may run a network at a time, few on an accelerator.

    Args:
        device: its name.
        workers: as many, 0 = one a core, or as many as there is memory for.
        memory: bytes that one takes.
    """
    count = worker_count(workers, memory)
    return count if device == "cpu" else min(count, SHARED_DEVICE_WORKERS)


def labels_of(
    probs: NDArray[np.float32],
    rgb_u8: NDArray[np.uint8],
    crf: CrfParams | None,
    likely: float = LIKELY,
    size: tuple[int, int] | None = None,
) -> NDArray[np.uint8]:
    """The label map of a photograph: the likeliest class of each pixel, after the dense CRF if there is one.

    The CRF's time grows with the classes, and of VOC's 21 a photograph shows two or three: those that the network
    thinks likely somewhere take part.

    Args:
        probs: ``(C, H, W)``, summing to 1 over C, of :func:`~wsgcn.nets.deeplab.predict_probs`.
        rgb_u8: ``(H, W, 3)`` photograph.
        crf: the dense CRF's numbers; None = no CRF.
        likely: probability that a class must reach at some pixel; the best class of a pixel always counts.
        size: rows and columns of the result; None = those of the photograph.

    Returns:
        ``(*size)`` uint8 class ids.
    """
    size = size or (rgb_u8.shape[0], rgb_u8.shape[1])
    if crf is None:
        return upsample_labels(np.arange(len(probs)), probs, size)
    best = probs.argmax(axis=0)
    shown = np.union1d(np.flatnonzero(probs.max(axis=(1, 2)) >= likely), np.unique(best))
    return upsample_labels(shown, dense_crf(to_probs(probs[shown]), rgb_u8, crf), size)
