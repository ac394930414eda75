"""GroupWSSS's network: activation maps of several photographs as the nodes of a graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wsgcn.cams.cam import VIEWS
from wsgcn.cams.net import CamNet
from wsgcn.nets.base import Backbone

if TYPE_CHECKING:
    from wsgcn.cams.group_graph import GroupGraphTraining
    from wsgcn.cams.learned import ClassifierInference


class ConvGru(nn.Module):
    """A gated recurrent unit of each cell, whose state and input have ``channels`` features.

    Source: Ballas et al., "Delving Deeper into Convolutional Networks for Learning Video Representations" (ICLR 2016).
    """

    def __init__(self, channels: int):
        super().__init__()
        self.reset, self.update, self.out = (nn.Conv2d(2 * channels, channels, 1) for _ in range(3))

    def forward(self, message: Tensor, state: Tensor) -> Tensor:
        """The state after a message, ``(B, channels, h, w)`` all three."""
        both = torch.cat([message, state], dim=1)
        update, reset = torch.sigmoid(self.update(both)), torch.sigmoid(self.reset(both))
        proposed = torch.tanh(self.out(torch.cat([message, state * reset], dim=1)))
        return state * (1 - update) + proposed * update


class GraphDropout(nn.Module):
    """Halves the strongest cells of a map, so that the network looks at others too, or else weakens all, these least.

    Source: Li et al. (AAAI 2021), ``GDL`` in ``models/vgg_gnn.py``, after Choe and Shim's attention-based dropout layer
    (CVPR 2019). In evaluation nothing happens.
    """

    def __init__(self, rate: float, threshold: float):
        super().__init__()
        self.rate, self.threshold = rate, threshold

    def forward(self, state: Tensor) -> Tensor:
        """``(B, C, h, w)``; for each photograph of the batch it is drawn which of both happens."""
        if not self.training:
            return state
        mean = state.mean(dim=1, keepdim=True)
        weak = (mean < self.threshold * mean.amax(dim=(2, 3), keepdim=True)).to(state.dtype)
        drops = torch.rand(len(state), 1, 1, 1, device=state.device) + self.rate >= 1
        return state * (1 + torch.where(drops, weak, torch.sigmoid(mean))) / 2


class GroupGraphNet(CamNet):
    """A classifier whose activation maps, of a group of photographs, tell each other where the shared classes are.

    Source: Li et al. (AAAI 2021), eq. (2) and (8) to (10); ``models/vgg_gnn.py``.
    """

    def __init__(self, backbone: Backbone, foreground_classes: int, dropout: float, params: GroupGraphTraining):
        super().__init__(backbone, foreground_classes, dropout)
        self.rounds, inner = params.rounds, max(1, foreground_classes // 2)
        self.asked = nn.Conv2d(foreground_classes, inner, 1)
        self.answering = nn.Conv2d(foreground_classes, inner, 1)
        self.gate = nn.Conv2d(foreground_classes, 1, 1, bias=False)
        self.fusion = nn.Conv2d((params.group - 1) * foreground_classes, foreground_classes, 3, padding=1)
        self.memory = ConvGru(foreground_classes)
        self.graph_dropout = GraphDropout(params.drop_rate, params.drop_threshold)

    def class_maps(self, x: Tensor) -> Tensor:
        """``(B, 3, H, W)`` normalised photographs to ``(B, C-1, h, w)``, of which a class's logit is the mean."""
        return self.classifier(self.dropout(self.backbone.last_map(x)))

    def told(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps of the photographs of a group, ``(B, C-1, h, w)`` of any sizes, after the rounds of the graph."""
        states = [*maps]
        for _ in range(self.rounds):
            messages = [
                self.fusion(torch.cat([self.message(one, other) for other in states if other is not one], dim=1))
                for one in states
            ]
            states = [self.graph_dropout(self.memory(*both)) for both in zip(messages, states, strict=True)]
        return states

    def message(self, one: Tensor, other: Tensor) -> Tensor:
        """What a photograph hears of another: for each cell the mean of the other's maps by likeness, gated.

        Args:
            one: ``(B, C-1, h, w)``.
            other: ``(B, C-1, h', w')``.

        Returns:
            ``(B, C-1, h, w)``.
        """
        likeness = self.asked(one).flatten(2).transpose(1, 2) @ self.answering(other).flatten(2)  # (B, N, N')
        weights = likeness.softmax(dim=2).to(other.dtype)
        heard = (other.flatten(2) @ weights.transpose(1, 2)).view_as(one)
        return heard * torch.sigmoid(self.gate(heard))


def group_maps(
    net: GroupGraphNet,
    photos: Sequence[NDArray[np.uint8]],
    class_ids: Sequence[int],
    params: ClassifierInference,
    device: str,
) -> list[Tensor]:
    """Maps of a photograph's classes at several scales, each added to those of the mirror image.

    Args:
        net: the trained network in evaluation.
        photos: ``(H, W, 3)`` of the group, of which the maps of the first are wanted.
        class_ids: the K - 1 foreground classes that it shows.
        params: scales, how photographs are resized.
        device: where the network is.

    Returns:
        ``(1, K-1, h', w')`` ≥ 0 for each scale.

    Source: the maps that ``models/vgg_gnn.py`` writes while it trains.
    """
    wanted = [one - 1 for one in class_ids]
    views = (VIEWS[params.interpolation](one, net, params.scales, device) for one in photos)
    merged = []
    for view, *others in zip(*views, strict=True):
        beside = [net.class_maps(one) for one in others]
        maps = []
        for one in (view, view.flip(3)):
            own = net.class_maps(one)
            maps.append((own + net.told([own, *beside])[0])[:, wanted].relu() / 2)
        merged.append(maps[0] + maps[1].flip(3))
    return merged
