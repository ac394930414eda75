"""Propagation ``random-walk``: IRNet's and PSA's baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from wsgcn.errors import WsgcnError
from wsgcn.propagate.background import WithBackground
from wsgcn.propagate.base import PropagationInput, Transition

if TYPE_CHECKING:
    from wsgcn.store.records import Scores


class RandomWalk(WithBackground, Transition):
    """The CAMs walk over the graph; exactly one of ``background`` and ``alpha`` is given."""

    baseline: ClassVar[bool] = True
    reads_photo: ClassVar[bool] = False

    kind: Literal["random-walk"]

    def scores(self, photographs: Sequence[PropagationInput], device: str) -> list[Scores | WsgcnError]:
        """Scores in [0, 1] with a constant background (IRNet) or one that walks along (PSA)."""
        from wsgcn.propagate.walk import walked_scores

        return [walked_scores(one, self) for one in photographs]
