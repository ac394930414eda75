"""CAM source ``classifier``: a multi-label classifier learned from image-level labels, as in IRNet and PSA."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from wsgcn.cams.learned import LearnedCams

if TYPE_CHECKING:
    from wsgcn.cams.net import CamNet
    from wsgcn.training.descent import TrainingLoss


class Classifier(LearnedCams):
    """A backbone, global average pooling and one linear layer, which applied to every cell gives the CAMs."""

    kind: Literal["classifier"]

    def loss(self, net: CamNet) -> TrainingLoss:
        """The multi-label cross-entropy."""
        from wsgcn.cams.fit import ClassifierLoss

        return ClassifierLoss(net, self.train)
