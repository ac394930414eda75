"""Complete pseudo labels from the scores of one image."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import scipy.special
from numpy.typing import NDArray

from wsgcn.ops.densecrf import CrfParams, dense_crf
from wsgcn.ops.resize import downscale_rgb, enlarge_scores, grid_size, upsample_labels
from wsgcn.ops.scores import to_probs


class RefineParams(CrfParams, Protocol):
    """The dense CRF's numbers, what it starts from, and the pixels a cell at which it runs."""

    @property
    def softmax(self) -> bool: ...  # noqa: D102
    @property
    def stride(self) -> int: ...  # noqa: D102


def refine(
    class_ids: NDArray[np.int64],
    scores: NDArray[np.float32],
    rgb_u8: NDArray[np.uint8],
    params: RefineParams,
    logarithmic: bool = False,
    size: tuple[int, int] | None = None,
) -> NDArray[np.uint8]:
    """Upsample the scores, refine them with the photograph, and label each pixel with the best class.

    Args:
        class_ids: ``(K,)`` classes of the image, background first.
        scores: ``(K, h, w)`` ≥ 0 of any resolution; they need not sum to 1.
        rgb_u8: ``(H, W, 3)`` photograph.
        params: the dense CRF's numbers; with ``softmax`` it starts from the softmax of the scores, as in the public
            WSGCN code, which leaves near-certain scores open to the photograph (0.9 of two classes becomes 0.69). At a
            stride of s pixels it sees 1 / s² of them, and its probabilities are enlarged.
        logarithmic: enlarge the scores' logarithms instead of the scores.
        size: rows and columns of the result; None = those of the photograph.

    Returns:
        ``(*size)`` uint8 class ids, every pixel labelled.

    Source: section 3.2 of the paper.
    """
    seen = (rgb_u8.shape[0], rgb_u8.shape[1])
    grid = grid_size(*seen, params.stride)
    upsampled = enlarge_scores(scores, grid, logarithmic)  # (K, h, w) -> (K, H / s, W / s)
    probs = scipy.special.softmax(upsampled, axis=0) if params.softmax else to_probs(upsampled)
    refined = dense_crf(probs, downscale_rgb(rgb_u8, grid), params, params.stride)
    return upsample_labels(class_ids, refined, size or seen)
