"""The multi-label classifier whose last layer gives the class activation maps."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from wsgcn.nets.base import Backbone, on_device
from wsgcn.nets.build import build_backbone
from wsgcn.store.checkpoints import load_checkpoint
from wsgcn.store.fingerprints import DigestedFile
from wsgcn.vocabulary import CAM_NETWORK

if TYPE_CHECKING:
    from wsgcn.cams.learned import ClassifierTraining, LearnedCams


DRAW: dict[str, Callable[[Tensor], object]] = {
    "pytorch": lambda weight: None,
    "normal": partial(nn.init.normal_, std=0.01),
    "xavier": nn.init.xavier_uniform_,
}
"""How the classifier's new weights are drawn: as PyTorch does for a convolution, IRNet; small; or Xavier's, PSA."""


class CamNet(nn.Module):
    """Backbone, dropout of whole channels, global average pooling, and one linear layer without bias.

    Since pooling and the linear layer commute, the layer applied to every cell gives the class activation maps.

    Source: Zhou et al., "Learning Deep Features for Discriminative Localization" (CVPR 2016), as in IRNet and PSA.
    """

    def __init__(self, backbone: Backbone, foreground_classes: int, dropout: float):
        super().__init__()
        self.backbone = backbone
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(backbone.channels[-1], foreground_classes, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, 3, H, W)`` normalised photographs to ``(B, C-1)`` logits, one for each foreground class."""
        return self.classifier(self.pooled(x)).flatten(1)

    def pooled(self, x: Tensor) -> Tensor:
        """``(B, 3, H, W)`` normalised photographs to the mean features of their last map, ``(B, F, 1, 1)``."""
        return self.dropout(self.backbone.last_map(x)).mean(dim=(2, 3), keepdim=True)

    def activation_maps(self, x: Tensor) -> Tensor:
        """``(B, 3, H, W)`` normalised photographs to ``(B, C-1, h, w)`` maps ≥ 0, not normalised."""
        return torch.relu(self.classifier(self.backbone.last_map(x)))


def build_cam_net(
    params: ClassifierTraining,
    classes: int,
    *,
    pretrained: bool,
    kind: Callable[[Backbone, int, float], CamNet] = CamNet,
) -> CamNet:
    """The classifier of one CAM source.

    Args:
        params: backbone, weights and output stride.
        classes: number of classes C with the background.
        pretrained: load ``params.weights``; False where a checkpoint follows.
        kind: what is built around the backbone.
    """
    backbone = build_backbone(params.backbone, params.output_stride, params.weights if pretrained else None)
    net = kind(backbone, classes - 1, params.dropout)
    DRAW[params.head_init](net.classifier.weight)
    return net


@lru_cache(maxsize=1)
def load_cam_net(source: LearnedCams, classes: int, network: DigestedFile, device: str) -> CamNet:
    """The trained network of a source, loaded once a process.

    Raises:
        DataError: the checkpoint is missing, broken, or another network's.
    """
    net = source.network(classes, pretrained=False)
    load_checkpoint(network.path, CAM_NETWORK, source.settings(classes), net)
    return on_device(net, device)
