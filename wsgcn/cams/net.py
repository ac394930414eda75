"""The multi-label classifier whose last layer gives the class activation maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from wsgcn.nets.backbone import Backbone, build_backbone, features_of

if TYPE_CHECKING:
    from wsgcn.params import CamsNet


class CamNet(nn.Module):
    """Backbone, dropout of whole channels, global average pooling, and one linear layer without bias.

    Since pooling and the linear layer commute, the layer applied to every cell gives the class activation maps.

    Source: Zhou et al., "Learning Deep Features for Discriminative Localization" (CVPR 2016), as in IRNet and PSA.
    """

    def __init__(self, backbone: nn.Module, channels: int, foreground_classes: int, dropout: float):
        super().__init__()
        self.backbone = backbone
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(channels, foreground_classes, 1, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, 3, H, W)`` normalised photographs to ``(B, C-1)`` logits, one for each foreground class."""
        features = self.dropout(features_of(self.backbone, x)[-1])
        return self.classifier(features.mean(dim=(2, 3), keepdim=True)).flatten(1)

    def activation_maps(self, x: Tensor) -> Tensor:
        """``(B, 3, H, W)`` normalised photographs to ``(B, C-1, h, w)`` maps ≥ 0, not normalised."""
        return torch.relu(self.classifier(features_of(self.backbone, x)[-1]))


def build_cam_net(params: CamsNet, classes: int, *, pretrained: bool) -> CamNet:
    """The classifier of one variant.

    Args:
        params: backbone, weights and output stride.
        classes: number of classes C with the background.
        pretrained: load ``params.weights``; False where a checkpoint follows.
    """
    backbone = build_backbone(params.backbone, params.output_stride, params.weights if pretrained else None)
    channels = cast("Backbone", backbone).channels[-1]
    return CamNet(backbone, channels, classes - 1, params.dropout)


def net_settings(params: CamsNet, classes: int) -> dict[str, Any]:
    """What decides the structure, to be kept in the checkpoint."""
    return {"backbone": params.backbone, "output_stride": params.output_stride, "classes": classes}
