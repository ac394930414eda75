"""What every kind of segmentation training has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from wsgcn.ranges import Batch, Dilations, ScaleRange, Size
from wsgcn.sections import FreezeNorm, Kind, NetworkTraining, backbone_module

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from wsgcn.nets.deeplab import DeepLabV2
    from wsgcn.segtrain.fit import NetworkLoss
    from wsgcn.segtrain.sample import PseudoLabels
    from wsgcn.store.index import ImageRecord, Index
    from wsgcn.training.augment import ToInput


class SegmentationTraining(NetworkTraining, Kind):
    """How a DeepLabv2 is trained for a method; whatever else a kind trains beside it is not kept."""

    aspp_dilations: Dilations
    accumulate: Batch
    scale: ScaleRange
    head_lr_factor: Size
    head_bias_lr_factor: Size
    freeze_norm: FreezeNorm

    @property
    def needs_classifier(self) -> bool:
        """Whether it learns nothing unless its classification branch starts as a CAM source's classifier."""
        return False

    def modules(self) -> tuple[str, ...]:
        """The kind's and the backbone's."""
        return (*super().modules(), backbone_module(self.backbone))

    def teacher(self, labels: Path, scores: Path) -> PseudoLabels | None:
        """What it learns from of the method's pseudo labels: each pixel that has one; None for a kind that reads none.

        Args:
            labels: folder of the label maps.
            scores: folder of the scores that they were refined from.
        """
        from wsgcn.segtrain.sample import PseudoLabels

        return PseudoLabels(labels, scores, min_confidence=0)

    def objective(self, network: DeepLabV2) -> NetworkLoss:
        """The network, in the mode in which it trains, with what it minimises on the batches of :meth:`sample`."""
        raise NotImplementedError

    def sample(
        self, index: Index, labels: PseudoLabels | None, to_input: ToInput
    ) -> Callable[[ImageRecord, torch.Generator], tuple[Tensor, ...]]:
        """Makes the tensors of one photograph with the one source of their random numbers; picklable.

        Here these are a random crop of it, ``(3, crop, crop)``, and of its labels, ``(crop, crop)``.

        Args:
            index: the dataset.
            labels: as :meth:`teacher` gave them.
            to_input: of the backbone, normalises a photograph.
        """
        from wsgcn.segtrain.sample import SegmentationSample

        assert labels is not None  # a kind that reads none has samples of its own
        return SegmentationSample(index, labels, self.crop, self.scale, to_input)
