"""Training ``self-supervised``: DeepLabv2 learns from which classes a photograph shows, and from its own masks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from wsgcn.ranges import BelowOne, Count, Dilations, Factor, Fraction, Iterations, Size, Width
from wsgcn.sections import FocalPenalty, Interpolation, Jitter, Section, Stride
from wsgcn.segtrain.base import SegmentationTraining

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from wsgcn.nets.deeplab import DeepLabV2
    from wsgcn.segtrain.fit import NetworkLoss
    from wsgcn.segtrain.sample import PseudoLabels
    from wsgcn.store.index import ImageRecord, Index
    from wsgcn.training.augment import ToInput


class Gate(Section):
    """Share of the deep features that shallow ones replace, and the width of the layers that prepare these."""

    rate: BelowOne
    width: Width


class MaskRefinement(Section):
    """PAMR of the masks: pixels a cell, distances of the neighbours in cells, repetitions."""

    stride: Stride
    dilations: Dilations
    iterations: Iterations


class OwnLabels(Section):
    """Which refined masks teach: shares of a class's maximum, and the least score; weight of their loss."""

    weight: Factor
    foreground: Size
    background: Size
    floor: Fraction


class SelfSupervised(SegmentationTraining):
    """SingleStage's training: image-level labels, and after ``pretrain`` updates the network's own refined masks.

    The method's pseudo labels are not read.
    """

    kind: Literal["self-supervised"]
    interpolation: Interpolation
    jitter: Jitter | None
    gate: Gate
    focal: FocalPenalty
    pretrain: Count
    refine: MaskRefinement
    own: OwnLabels

    def teacher(self, labels: Path, scores: Path) -> None:
        """Nobody."""

    def objective(self, network: DeepLabV2) -> NetworkLoss:
        """Multi-label cross-entropy of the pooled masks, and cross-entropy on own labels."""
        from wsgcn.segtrain.self_supervised_fit import SelfSupervisedLoss

        return SelfSupervisedLoss(network, self)

    def sample(
        self, index: Index, labels: PseudoLabels | None, to_input: ToInput
    ) -> Callable[[ImageRecord, torch.Generator], tuple[Tensor, ...]]:
        """A random crop of a photograph, ``(3, crop, crop)``, and its classes, ``(C-1,)``."""
        from wsgcn.segtrain.self_supervised_fit import JitteredSample

        return JitteredSample(index, self, to_input)
