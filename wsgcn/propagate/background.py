"""What propagations of CAMs have in common that put a background score beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import model_validator

from wsgcn.propagate.base import Propagation
from wsgcn.ranges import Exponent, Fraction

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class WithBackground(Propagation):
    """The background's score is ``background``, a constant, or (1 - max CAM)^``alpha`` and spreads too; one is null."""

    background: Fraction | None
    alpha: Exponent | None

    @model_validator(mode="after")
    def _one_background(self) -> WithBackground:
        if (self.background is None) == (self.alpha is None):
            raise ValueError("give background (a constant score) or alpha (a walking score), and null for the other")
        return self

    def with_background(self, cams: NDArray[np.float32]) -> NDArray[np.float32]:
        """``(K-1, h, w)`` CAMs in [0, 1] as ``(K, h, w)`` scores, background first."""
        from wsgcn.ops.scores import with_background, with_constant

        if self.alpha is not None:
            return with_background(cams, self.alpha)
        assert self.background is not None  # one of both is given
        return with_constant(cams, self.background)

    def background_limits(self, maps: NDArray[np.float32]) -> NDArray[np.floating]:
        """A constant background is compared with the best foreground score itself.

        One that spreads too has no such number: a background t stands for its saved score times t / (1 - t), so that
        0.5 is the scores as they are, and a pixel's limit is the foreground's share of the two scores.
        """
        foreground = maps[1:].max(axis=0)
        if self.alpha is None:
            return foreground
        both = maps[0].astype(float) + foreground  # in double precision 0.5 gives each label of the walk as it is
        return foreground / both.clip(1e-300)
