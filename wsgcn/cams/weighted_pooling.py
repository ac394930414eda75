"""CAM source ``weighted-pooling``: SingleStage's classifier, whose CAMs are masks that compete with a background."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from wsgcn.cams.learned import ClassifierTraining, LearnedCams
from wsgcn.sections import FocalPenalty

if TYPE_CHECKING:
    from wsgcn.cams.net import CamNet
    from wsgcn.training.descent import TrainingLoss


class WeightedPoolingTraining(ClassifierTraining):
    """A classifier's numbers, and those of the penalty for small masks."""

    focal: FocalPenalty


class WeightedPooling(LearnedCams):
    """A backbone and one linear layer, pooled by its own masks: the softmax over the classes and a constant background.

    As in :class:`~wsgcn.cams.classifier.Classifier`, but a mask is pooled by how much of it there is, so that it need
    not be large to be seen, nor its surroundings small. The masks are the CAMs.
    """

    kind: Literal["weighted-pooling"]
    train: WeightedPoolingTraining

    def network(self, classes: int, *, pretrained: bool) -> CamNet:
        """The classifier with masks."""
        from functools import partial

        from wsgcn.cams.mask_net import MaskNet
        from wsgcn.cams.net import build_cam_net

        focal = self.train.focal
        kind = partial(MaskNet, focal_power=focal.power, focal_shift=focal.shift)
        return build_cam_net(self.train, classes, pretrained=pretrained, kind=kind)

    def loss(self, net: CamNet) -> TrainingLoss:
        """The multi-label cross-entropy."""
        from wsgcn.cams.fit import ClassifierLoss

        return ClassifierLoss(net, self.train)
