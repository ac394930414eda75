"""Region growing on the CAMs of a photograph: seeds, probabilities, and the scores that follow."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wsgcn.ops.densecrf import dense_crf
from wsgcn.ops.grid import Grid
from wsgcn.ops.growing import grown
from wsgcn.ops.resize import to_class_ids
from wsgcn.ops.scores import to_probs, with_background
from wsgcn.propagate.base import PropagationInput
from wsgcn.propagate.walk import required
from wsgcn.store.records import Scores
from wsgcn.vocabulary import BACKGROUND, IGNORE

if TYPE_CHECKING:
    from wsgcn.propagate.seeded_region_growing import SeededRegionGrowing, Seeds


def grown_scores(one: PropagationInput, params: SeededRegionGrowing) -> Scores:
    """What stage ``propagate`` saves: the seeds, grown by the CAMs' probabilities after a dense CRF.

    So DSRG grows its seeds by what a dense CRF makes of its network's probabilities.
    """
    probs = cam_probs(one.cams, params.alpha)
    refined = dense_crf(probs, required(one.rgb_u8), params.crf, pixels_a_cell(one.grid))
    return _labelled(one, probs, grown(cam_seeds(one.cams, params.seeds, one.saliency), refined, params.growth))


def seed_scores(one: PropagationInput, params: SeededRegionGrowing) -> Scores:
    """The same before anything has grown."""
    return _labelled(one, cam_probs(one.cams, params.alpha), cam_seeds(one.cams, params.seeds, one.saliency))


def cam_probs(cams: NDArray[np.float32], alpha: float) -> NDArray[np.float32]:
    """``(K-1, h, w)`` CAMs in [0, 1] as ``(K, h, w)`` probabilities, with the background (1 - max CAM)^α in front."""
    return to_probs(with_background(cams, alpha))


def cam_seeds(
    cams: NDArray[np.float32], params: Seeds, saliency: NDArray[np.float32] | None = None
) -> NDArray[np.uint8]:
    """Where the CAMs are certain, or for the background the saliency map.

    Args:
        cams: ``(K-1, h, w)`` in [0, 1].
        params: thresholds.
        saliency: ``(h, w)`` in [0, 1], or None.

    Returns:
        ``(h, w)`` uint8 positions among the K classes (0 = background), 255 = no seed.
    """
    best = cams.max(axis=0)
    plain = best < params.background
    if params.saliency is not None and saliency is not None:
        plain = saliency < params.saliency.threshold
    others = np.where(plain, BACKGROUND, IGNORE)
    return np.where(best > params.foreground, cams.argmax(axis=0) + 1, others).astype(np.uint8)


def pixels_a_cell(grid: Grid) -> int:
    """Side of a cell, in pixels, 1 or more; that of a stretched grid is rounded."""
    return grid.stride or max(1, round(math.sqrt(math.prod(grid.size) / math.prod(grid.cells))))


def _labelled(one: PropagationInput, probs: NDArray[np.float32], labels: NDArray[np.uint8]) -> Scores:
    """Certainty where there is a label."""
    certain = labels == np.arange(len(probs))[:, None, None]  # (K, h, w)
    scores = np.where(labels == IGNORE, probs, certain.astype(np.float32))
    return replace(Scores.not_learned(one.class_ids, scores), partial_labels=to_class_ids(labels, one.class_ids))
