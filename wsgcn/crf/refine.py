"""Complete pseudo labels from the scores of one image."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import scipy.special
from numpy.typing import NDArray

from wsgcn.ops.densecrf import CrfParams, dense_crf
from wsgcn.ops.resize import resize_maps
from wsgcn.ops.scores import to_probs


class RefineParams(CrfParams, Protocol):
    """The dense CRF's numbers and what it starts from."""

    @property
    def softmax(self) -> bool: ...  # noqa: D102


def refine(
    class_ids: NDArray[np.int64], scores: NDArray[np.float32], rgb_u8: NDArray[np.uint8], params: RefineParams
) -> NDArray[np.uint8]:
    """Upsample the scores, refine them with the photograph, and label each pixel with the best class.

    Args:
        class_ids: ``(K,)`` classes of the image, background first.
        scores: ``(K, h, w)`` ≥ 0 at the grid's resolution; they need not sum to 1.
        rgb_u8: ``(H, W, 3)`` photograph.
        params: the dense CRF's numbers; with ``softmax`` it starts from the softmax of the scores, as in the public
            WSGCN code, which leaves near-certain scores open to the photograph (0.9 of two classes becomes 0.69).

    Returns:
        ``(H, W)`` uint8 class ids, every pixel labelled.

    Source: section 3.2 of the paper.
    """
    upsampled = resize_maps(scores, (rgb_u8.shape[0], rgb_u8.shape[1]))  # (K, h, w) -> (K, H, W)
    probs = scipy.special.softmax(upsampled, axis=0) if params.softmax else to_probs(upsampled)
    return class_ids[dense_crf(probs, rgb_u8, params).argmax(axis=0)].astype(np.uint8)
