"""Training ``deeplab``: DeepLabv2 learns the pseudo labels of its method, section 4.1 of the paper."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from wsgcn.ranges import BelowOne, Scales
from wsgcn.segtrain.base import SegmentationTraining

if TYPE_CHECKING:
    from wsgcn.nets.deeplab import DeepLabV2
    from wsgcn.segtrain.fit import NetworkLoss
    from wsgcn.segtrain.sample import PseudoLabels


class DeepLab(SegmentationTraining):
    """Cross-entropy at several scales, and of their maximum, on every pixel whose label is confident enough."""

    kind: Literal["deeplab"]
    input_scales: Scales
    min_confidence: BelowOne

    def teacher(self, labels: Path, scores: Path) -> PseudoLabels:
        """The labels whose class had enough of the scores."""
        from wsgcn.segtrain.sample import PseudoLabels

        return PseudoLabels(labels, scores, self.min_confidence)

    def objective(self, network: DeepLabV2) -> NetworkLoss:
        """The loss of section 4.1."""
        from wsgcn.segtrain.fit import SegmentationLoss

        return SegmentationLoss(network, self)
