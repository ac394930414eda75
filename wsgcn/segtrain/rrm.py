"""Training ``rrm``: a classifier and DeepLabv2 on one backbone, the second taught by what the first is sure of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import model_validator

from wsgcn.ranges import BelowOne, Between, Cell, Deviation, Exponent, Factor, Fraction, Scales
from wsgcn.sections import Crf, Section
from wsgcn.segtrain.base import SegmentationTraining

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from wsgcn.nets.deeplab import DeepLabV2
    from wsgcn.segtrain.fit import NetworkLoss
    from wsgcn.segtrain.sample import PseudoLabels
    from wsgcn.store.index import ImageRecord, Index
    from wsgcn.training.augment import ToInput


class ReliableLabels(Section):
    """What the class activation maps of a crop label: pixels a cell of the maps, scales of the crop, what is sure."""

    stride: Cell
    scales: Scales
    alphas: tuple[Exponent, Exponent]
    crf: Crf
    min_prob: Fraction
    confident_share: Fraction
    cam_floor: Fraction
    min_background: Fraction


class DenseEnergy(Section):
    """Weight of the dense energy, its part of the crop's resolution, and its kernel: pixels and grey levels."""

    weight: Factor
    scale: Annotated[float, Between(0.1, 1)]
    sigma_xy: Deviation
    sigma_rgb: Deviation


class Rrm(SegmentationTraining):
    """Joint training of Zhang et al., "Reliability Does Matter" (AAAI 2020); ``labels: method`` takes given labels."""

    kind: Literal["rrm"]
    labels: Literal["own", "method"]
    dropout: BelowOne
    reliable: ReliableLabels
    energy: DenseEnergy

    @model_validator(mode="after")
    def _looks_can_be_compared(self) -> Rrm:
        if self.labels == "own" and self.check is not None and self.check.stop is not None:
            raise ValueError("check.stop must be null with labels: own, which change from one look to the next")
        return self

    @property
    def needs_classifier(self) -> bool:
        """Where the live class activation maps teach: those of a new classifier would teach nothing."""
        return self.labels == "own"

    def teacher(self, labels: Path, scores: Path) -> PseudoLabels | None:
        """None where the live class activation maps teach, else each labelled pixel."""
        return super().teacher(labels, scores) if self.labels == "method" else None

    def objective(self, network: DeepLabV2) -> NetworkLoss:
        """Classification, cross-entropy on what is reliable, and dense energy."""
        from wsgcn.segtrain.rrm_fit import RrmLoss

        return RrmLoss(network, self)

    def sample(
        self, index: Index, labels: PseudoLabels | None, to_input: ToInput
    ) -> Callable[[ImageRecord, torch.Generator], tuple[Tensor, ...]]:
        """A crop, its labels, where it shows the photograph, and the photograph's classes."""
        from wsgcn.segtrain.sample import TaggedSample

        return TaggedSample(index, labels, self.crop, self.scale, to_input)
