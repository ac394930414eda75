"""Training ``dsrg``: DeepLabv2 learns labels that grow from seeds by its own probabilities."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from wsgcn.ranges import BelowOne
from wsgcn.sections import Crf, Growth
from wsgcn.segtrain.base import SegmentationTraining

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from wsgcn.nets.deeplab import DeepLabV2
    from wsgcn.segtrain.fit import NetworkLoss
    from wsgcn.segtrain.sample import PseudoLabels
    from wsgcn.store.index import ImageRecord, Index
    from wsgcn.training.augment import ToInput


class Dsrg(SegmentationTraining):
    """Deep seeded region growing: the seeds are those pseudo labels that are confident enough.

    Source: Huang et al., "Weakly-Supervised Semantic Segmentation Network with Deep Seeded Region Growing" (CVPR 2018).
    """

    kind: Literal["dsrg"]
    min_confidence: BelowOne
    growth: Growth
    crf: Crf
    softmax: bool

    def teacher(self, labels: Path, scores: Path) -> PseudoLabels:
        """The seeds: labels whose class had enough of the scores."""
        from wsgcn.segtrain.sample import PseudoLabels

        return PseudoLabels(labels, scores, self.min_confidence)

    def objective(self, network: DeepLabV2) -> NetworkLoss:
        """Seeding loss on grown labels, and boundary loss."""
        from wsgcn.segtrain.dsrg_fit import GrowingLoss

        return GrowingLoss(network, self)

    def sample(
        self, index: Index, labels: PseudoLabels | None, to_input: ToInput
    ) -> Callable[[ImageRecord, torch.Generator], tuple[Tensor, ...]]:
        """A crop, its seeds, where it shows the photograph, and the photograph's classes, which alone may grow."""
        from wsgcn.segtrain.sample import TaggedSample

        return TaggedSample(index, labels, self.crop, self.scale, to_input)
