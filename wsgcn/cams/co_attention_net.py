"""MCIS's network: what two photographs have in common, and what each has for itself."""

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
    from wsgcn.cams.co_attention import CoAttentionInference


class CoAttentionNet(CamNet):
    """A classifier, and a second one of features that two photographs share.

    Source: Sun et al. (ECCV 2020), section 3; ``Classifier/models/vgg.py``.
    """

    def __init__(self, backbone: Backbone, foreground_classes: int, dropout: float):
        super().__init__(backbone, foreground_classes, dropout)
        channels = backbone.channels[-1]
        self.affinity = nn.Linear(channels, channels, bias=False)
        self.gate = nn.Conv2d(channels, 1, 1, bias=False)
        self.common = nn.Conv2d(channels, foreground_classes, 1, bias=False)

    def features(self, x: Tensor) -> Tensor:
        """``(B, 3, H, W)`` normalised photographs to ``(B, D, h, w)``."""
        return self.dropout(self.backbone.last_map(x))

    def attended(self, one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """What each of two photographs finds of itself in the other: for each cell a mean of the other's features.

        Args:
            one: ``(B, D, h, w)`` :meth:`features`.
            other: ``(B, D, h', w')`` of its partners.

        Returns:
            ``(B, D, h, w)`` made of the other's features, ``(B, D, h', w')`` made of the first one's.
        """
        first, second = one.flatten(2), other.flatten(2)
        likeness = self.affinity(first.transpose(1, 2)) @ second  # (B, N, N')
        of_second = likeness.softmax(dim=2).to(second.dtype)  # over N'
        of_first = likeness.softmax(dim=1).to(first.dtype)  # over N
        return (second @ of_second.transpose(1, 2)).view_as(one), (first @ of_first).view_as(other)

    def rest(self, features: Tensor, attended: Tensor) -> Tensor:
        """Features without what is common: ``(B, D, h, w)`` each."""
        return features * (1 - torch.sigmoid(self.gate(attended)))


def common_maps(
    net: CoAttentionNet,
    photos: Sequence[NDArray[np.uint8]],
    class_ids: Sequence[int],
    params: CoAttentionInference,
    device: str,
) -> list[Tensor]:
    """Maps of the classes that a photograph shares with its mirror image, with itself at other scales, with others.

    Args:
        net: the trained network in evaluation.
        photos: ``(H, W, 3)``: the photograph, then ``params.references`` for each class.
        class_ids: the K - 1 foreground classes that it shows.
        params: scales, references, and the probability of a class in a map below which the map does not count.
        device: where the network is.

    Returns:
        ``(1, K-1, h', w')`` in [0, 1] for each comparison, each map with maximum 1 or, where it does not count, 0
        everywhere. The first always counts.

    Source: ``Classifier/scripts/test.py``, which has the four of the photograph's own views and the mean of those of
    three references.
    """
    view, *others = VIEWS[params.interpolation](photos[0], net, params.scales, device)
    whole, wanted = net.features(view), [one - 1 for one in class_ids]
    mirrored = net.attended(whole, net.features(view.flip(3)))
    attended = [mirrored[0], mirrored[1].flip(3), *(net.attended(whole, net.features(one))[1] for one in others)]
    maps = [net.common(one)[:, wanted] for one in attended]
    if params.references:
        maps.append(_reference_maps(net, whole, photos[1:], wanted, params, device))
    first, *more = maps
    return [_normalised(first), *(_normalised(one) * _believed(one, params.min_prob) for one in more)]


def _reference_maps(
    net: CoAttentionNet,
    whole: Tensor,
    photos: Sequence[NDArray[np.uint8]],
    wanted: Sequence[int],
    params: CoAttentionInference,
    device: str,
) -> Tensor:
    """``(1, K-1, h', w')``: of each class the mean over its references."""
    found = []
    for place, position in enumerate(wanted):
        own = photos[place * params.references : (place + 1) * params.references]
        views = (next(iter(VIEWS[params.interpolation](one, net, params.scales[:1], device))) for one in own)
        attended = [net.attended(whole, net.features(one))[0] for one in views]
        found.append(torch.stack([net.common(one)[:, position] for one in attended]).mean(dim=0))
    return torch.stack(found, dim=1)


def _believed(maps: Tensor, min_prob: float) -> Tensor:
    return (torch.sigmoid(maps.mean(dim=(2, 3), keepdim=True)) > min_prob).to(maps.dtype)


def _normalised(maps: Tensor) -> Tensor:
    positive = maps.relu()
    peak = positive.amax(dim=(2, 3), keepdim=True)
    return positive / torch.where(peak > 0, peak, 1.0)
