"""Propagation ``gcn``: the paper's graph convolutional network, learned for each single photograph."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import model_validator

from wsgcn.errors import WsgcnError
from wsgcn.propagate.base import Propagation, PropagationInput, Transition
from wsgcn.ranges import BelowOne, Between, Exponent, Factor, Fraction, Rate, Size, WalkSteps, Width
from wsgcn.sections import Crf, SaliencyBesideCams, Section
from wsgcn.vocabulary import LOSS_NAMES

if TYPE_CHECKING:
    from wsgcn.store.index import ImageRecord
    from wsgcn.store.records import Scores

GPU_PIXELS = 2**22
"""Pixels of the photographs that one worker gives to a GPU at once: 22 of 375 × 500, reckoned at 2 GB there."""


class PartialLabels(Section):
    """From CAMs to the partial pseudo labels P."""

    scores: Literal["cams", "walk"]
    cut: BelowOne
    alphas: tuple[Exponent, Exponent]
    crf: Crf
    min_prob: Fraction
    confident_share: Fraction
    cam_floor: Fraction
    min_background: Fraction
    saliency: SaliencyBesideCams | None


class GcnPropagation(Propagation):
    """Eq. (1) to (7) of the paper."""

    losses: ClassVar[tuple[str, ...]] = LOSS_NAMES
    partial_labels_used: ClassVar[bool] = True
    seeded: ClassVar[bool] = True

    kind: Literal["gcn"]
    objective: Literal["paper", "reference"]
    affinity_power: Exponent
    normalisation: Literal["row", "symmetric", "none"]
    walk: Transition
    graph_steps: WalkSteps
    feature_steps: WalkSteps
    hidden: Width
    bias: bool
    dropout: BelowOne
    steps: Annotated[int, Between(1, 100_000)]
    lr: Rate
    weight_decay: Factor
    entropy_weight: Factor
    laplacian_weight: Factor
    colour_variance: Size
    distance_variance: Size
    colour_scale: Size
    window: Annotated[int, Between(1, 31)]
    upsampling: Literal["probabilities", "log-probabilities"]
    partial_labels: PartialLabels

    @model_validator(mode="after")
    def _window_is_odd(self) -> GcnPropagation:
        if self.window % 2 == 0:
            raise ValueError("window must be odd: it has a centre")
        return self

    @property
    def saliency(self) -> SaliencyBesideCams | None:
        """Those of the partial labels."""
        return self.partial_labels.saliency

    def device(self, wanted: str) -> str:
        """A GPU where one is wanted."""
        from wsgcn.runtime.devices import pick_device

        return str(pick_device(wanted))

    def together(self, images: Sequence[ImageRecord], device: str) -> list[list[ImageRecord]]:
        """Photographs of similar size, as many as a GPU holds when each is padded to the largest.

        A CPU gains nothing from several, and gives the same bits for any order when each is alone.
        """
        if device == "cpu":
            return super().together(images, device)
        groups: list[list[ImageRecord]] = []
        for image in sorted(images, key=lambda image: math.prod(image.seen), reverse=True):
            if groups and (len(groups[-1]) + 1) * math.prod(groups[-1][0].seen) <= GPU_PIXELS:
                groups[-1].append(image)
            else:
                groups.append([image])
        return groups

    def scores(self, photographs: Sequence[PropagationInput], device: str) -> list[Scores | WsgcnError]:
        """Probabilities, the partial labels, and the losses of every step."""
        from wsgcn.propagate.photograph import learned_scores

        return [*learned_scores(photographs, self, device)]

    def steps_shown(self, photograph: PropagationInput, device: str) -> list[tuple[str, Scores | WsgcnError]]:
        """The losses of eq. (2) come one after the other, as in the paper's figure 2."""
        without: dict[str, tuple[str, ...]] = {
            "GCN: fg + bg losses": ("entropy_weight", "laplacian_weight"),
            f"+ entropy (weight {self.entropy_weight:g})": ("laplacian_weight",),
            f"+ Laplacian (weight {self.laplacian_weight:g})": (),
        }
        steps = []
        for caption, left_out in without.items():
            (found,) = self.model_copy(update=dict.fromkeys(left_out, 0.0)).scores([photograph], device)
            steps.append((caption, found))
        return steps
