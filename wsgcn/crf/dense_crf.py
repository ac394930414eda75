"""Refinement ``dense-crf``: the fully connected CRF of Krähenbühl and Koltun (NIPS 2011)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from wsgcn.crf.base import Refinement
from wsgcn.ranges import Cell
from wsgcn.sections import Crf

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class DenseCrf(Refinement, Crf):
    """Section 3.2 of the paper; with a ``stride`` above 1 on a smaller photograph, in a fraction of the time."""

    kind: Literal["dense-crf"]
    softmax: bool
    stride: Cell

    def labels(
        self,
        class_ids: NDArray[np.int64],
        scores: NDArray[np.float32],
        rgb_u8: NDArray[np.uint8],
        logarithmic: bool,
        size: tuple[int, int],
    ) -> NDArray[np.uint8]:
        """The class of the highest probability after the CRF."""
        from wsgcn.crf.refine import refine

        return refine(class_ids, scores, rgb_u8, self, logarithmic, size)
