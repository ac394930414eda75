"""The classifier that pools its class activation maps by its own masks."""

from __future__ import annotations

from torch import Tensor

from wsgcn.cams.net import CamNet
from wsgcn.nets.base import Backbone
from wsgcn.ops.pooling import mask_scores, with_background_logit


class MaskNet(CamNet):
    """A :class:`CamNet` with :func:`wsgcn.ops.pooling.mask_scores` in the place of the mean."""

    def __init__(
        self, backbone: Backbone, foreground_classes: int, dropout: float, *, focal_power: float, focal_shift: float
    ):
        super().__init__(backbone, foreground_classes, dropout)
        self.focal_power, self.focal_shift = focal_power, focal_shift

    def forward(self, x: Tensor) -> Tensor:
        """``(B, 3, H, W)`` normalised photographs to ``(B, C-1)`` logits, one for each foreground class."""
        logits = self.classifier(self.dropout(self.backbone.last_map(x)))
        return mask_scores(with_background_logit(logits), self.focal_power, self.focal_shift)

    def activation_maps(self, x: Tensor) -> Tensor:
        """``(B, 3, H, W)`` normalised photographs to ``(B, C-1, h, w)`` masks in [0, 1], to 1 with the background."""
        return with_background_logit(self.classifier(self.backbone.last_map(x))).softmax(dim=1)[:, 1:]
