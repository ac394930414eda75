"""Complete pseudo labels from the scores of one image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wsgcn.ops.densecrf import CrfParams, dense_crf
from wsgcn.ops.resize import resize_maps
from wsgcn.ops.scores import to_probs


def refine(
    class_ids: NDArray[np.int64], scores: NDArray[np.float32], rgb_u8: NDArray[np.uint8], params: CrfParams
) -> NDArray[np.uint8]:
    """Upsample the scores, refine them with the photograph, and label each pixel with the best class.

    Args:
        class_ids: ``(K,)`` classes of the image, background first.
        scores: ``(K, h, w)`` ≥ 0 at the grid's resolution; they need not sum to 1.
        rgb_u8: ``(H, W, 3)`` photograph.
        params: the dense CRF's numbers.

    Returns:
        ``(H, W)`` uint8 class ids, every pixel labelled.

    Source: section 3.2 of the paper.
    """
    upsampled = resize_maps(scores, (rgb_u8.shape[0], rgb_u8.shape[1]))  # (K, h, w) -> (K, H, W)
    return class_ids[dense_crf(to_probs(upsampled), rgb_u8, params).argmax(axis=0)].astype(np.uint8)
