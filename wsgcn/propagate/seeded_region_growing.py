"""Propagation ``seeded-region-growing``: DSRG's region growing, with the CAMs in the place of its network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import model_validator

from wsgcn.errors import WsgcnError
from wsgcn.propagate.base import Propagation, PropagationInput
from wsgcn.ranges import Exponent, Fraction
from wsgcn.sections import Crf, Growth, Saliency, Section

if TYPE_CHECKING:
    from wsgcn.store.records import Scores


class Seeds(Section):
    """Above the first CAM value a cell is a seed of its best class, below the second one of the background.

    With ``saliency`` those cells that no class has are seeds of the background where little stands out instead.
    """

    foreground: Fraction
    background: Fraction
    saliency: Saliency | None

    @model_validator(mode="after")
    def _apart(self) -> Seeds:
        if self.background > self.foreground:
            raise ValueError("background must not be above foreground: a seed would be both")
        return self


class SeededRegionGrowing(Propagation):
    """Seeds of the CAMs grow over what a dense CRF makes of the CAMs; what they do not reach keeps the CAMs' scores."""

    partial_labels_used: ClassVar[bool] = True
    reads_affinity: ClassVar[bool] = False

    kind: Literal["seeded-region-growing"]
    seeds: Seeds
    alpha: Exponent
    crf: Crf
    growth: Growth

    @property
    def saliency(self) -> Saliency | None:
        """Of the seeds."""
        return self.seeds.saliency

    def scores(self, photographs: Sequence[PropagationInput], device: str) -> list[Scores | WsgcnError]:
        """Probabilities: 1 for what grew over a cell, the CAMs' elsewhere; the partial labels are what grew."""
        from wsgcn.propagate.growing import grown_scores

        return [grown_scores(one, self) for one in photographs]

    def steps_shown(self, photograph: PropagationInput, device: str) -> list[tuple[str, Scores | WsgcnError]]:
        """The seeds, and what has grown from them."""
        from wsgcn.propagate.growing import grown_scores, seed_scores

        return [("seeds", seed_scores(photograph, self)), ("grown regions", grown_scores(photograph, self))]
