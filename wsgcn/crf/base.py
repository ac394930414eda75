"""What every kind of label refinement has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsgcn.sections import Kind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Refinement(Kind):
    """How scores become complete pseudo labels of the photograph's size."""

    def labels(
        self,
        class_ids: NDArray[np.int64],
        scores: NDArray[np.float32],
        rgb_u8: NDArray[np.uint8],
        logarithmic: bool,
        size: tuple[int, int],
    ) -> NDArray[np.uint8]:
        """Complete pseudo labels of one photograph.

        Args:
            class_ids: ``(K,)`` classes of the image, background first.
            scores: ``(K, h, w)`` ≥ 0 of any resolution, over the whole photograph; they need not sum to 1.
            rgb_u8: ``(H, W, 3)`` photograph as it is seen.
            logarithmic: enlarge the scores' logarithms instead of the scores.
            size: rows and columns of the photograph itself, which may be larger.

        Returns:
            ``(*size)`` uint8 class ids, every pixel labelled.
        """
        raise NotImplementedError
