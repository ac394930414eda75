"""Propagation ``random-walk``: IRNet's and PSA's baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import model_validator

from wsgcn.errors import WsgcnError
from wsgcn.propagate.base import Propagation, PropagationInput, Transition
from wsgcn.sections import Fraction, Size

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from wsgcn.store.records import Scores


class RandomWalk(Propagation, Transition):
    """The CAMs walk over the graph; exactly one of ``background`` and ``alpha`` is given."""

    baseline: ClassVar[bool] = True
    reads_photo: ClassVar[bool] = False

    kind: Literal["random-walk"]
    background: Fraction | None
    alpha: Size | None

    @model_validator(mode="after")
    def _one_background(self) -> RandomWalk:
        if (self.background is None) == (self.alpha is None):
            raise ValueError("give background (a constant score) or alpha (a walking score), and null for the other")
        return self

    def background_limits(self, maps: NDArray[np.float32]) -> NDArray[np.floating]:
        """A constant background is compared with the best foreground score itself.

        One that walks along has no such number: a background t stands for its saved score times t / (1 - t), so that
        0.5 is the walk as it is, and a pixel's limit is the foreground's share of the two scores.
        """
        foreground = maps[1:].max(axis=0)
        if self.alpha is None:
            return foreground
        both = maps[0].astype(float) + foreground  # in double precision 0.5 gives each label of the walk as it is
        return foreground / both.clip(1e-300)

    def scores(self, photographs: Sequence[PropagationInput], device: str) -> list[Scores | WsgcnError]:
        """Scores in [0, 1] with a constant background (IRNet) or one that walks along (PSA)."""
        from wsgcn.propagate.walk import walked_scores

        return [walked_scores(one, self) for one in photographs]
