"""What SEAM's network minimises: two views of a photograph must show the same classes in the same places."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from wsgcn.cams.fit import ClassifierLoss
from wsgcn.cams.seam_net import EPS, SeamMaps, SeamNet, corner_to_corner, strongest_with_background
from wsgcn.training.distributed import shared_mean
from wsgcn.training.optimiser import ParameterGroup

if TYPE_CHECKING:
    from wsgcn.cams.seam import SeamTraining

FREE_PART = 4
"""The min-pooling loss looks at one pixel of so many."""


class SeamLoss(ClassifierLoss):
    """SEAM's network with its losses, each with weight 1 but for the min-pooling loss.

    Source: Wang et al. (CVPR 2020), section 3.4; ``train_SEAM.py``.
    """

    net: SeamNet
    params: SeamTraining

    def __init__(self, net: SeamNet, params: SeamTraining):
        super().__init__(net, params)

    def groups(self) -> list[ParameterGroup]:
        """The backbone; classifier and pixel correlation module learn ``head_lr_factor`` times faster."""
        backbone, head = super().groups()
        return [backbone, {**head, "params": [*head["params"], *self.net.correlation.parameters()]}]

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """Loss of ``(B, 3, H, W)`` photographs that show the classes ``(B, C-1)``, ones and zeros."""
        copy = corner_to_corner(x, [max(1, int(side * self.params.small_scale)) for side in x.shape[2:]])
        views = whole, small = self.net.maps(x), self.net.maps(copy)
        losses = [
            *(class_loss(one, target) / len(views) for one in views),
            *(self.params.min_pooling * min_pooling(one, target) / len(views) for one in views),
            *equivariance(whole, small, target, self.params.hard_share),
        ]
        return shared_mean(torch.stack(losses).sum(0))


def class_loss(view: SeamMaps, target: Tensor) -> Tensor:
    """``(B,)``: multi-label cross-entropy of the maps' means, averaged over the classes."""
    return functional.multilabel_soft_margin_loss(view.cams.mean(dim=(2, 3)), target, reduction="none")


def min_pooling(view: SeamMaps, target: Tensor) -> Tensor:
    """``(B,)``: mean of the strongest corrected map of the photograph's classes over the quarter where it is weakest.

    Source: ``adaptive_min_pooling_loss`` of ``train_SEAM.py``; the paper has no such loss.
    """
    strongest = (view.revised[:, 1:] * target[:, :, None, None]).amax(dim=1).flatten(1)
    count = max(1, strongest.shape[1] // FREE_PART)
    return strongest.topk(count, dim=1, largest=False).values.mean(dim=1)


def equivariance(whole: SeamMaps, small: SeamMaps, target: Tensor, hard_share: float) -> tuple[Tensor, Tensor]:
    """How far the maps of a photograph, made small, are from those of the small photograph, ``(B,)`` each.

    The first, ER, compares the classifier's maps. The second, ECR, compares the corrected maps of each view with the
    classifier's of the other, of which only the strongest class of a pixel counts and which are constants: so the
    module that corrects cannot agree with itself on nothing.

    Args:
        whole: of the photographs.
        small: of their small copies.
        target: ``(B, C-1)`` zeros and ones; maps of other classes count as 0.
        hard_share: which part of ECR's differences counts, the largest first.
    """
    size = small.cams.shape[2:]
    shown = target[:, :, None, None]
    with_ground = functional.pad(shown, (0, 0, 0, 0, 1, 0), value=1)  # the background is always shown
    cams = [corner_to_corner(normalised(one.cams), size) * shown for one in (whole, small)]
    revised = [corner_to_corner(normalised(one.revised), size) * with_ground for one in (whole, small)]
    goals = [strongest_with_background(one.detach()) for one in reversed(cams)]
    first, second = (hardest(goal - one, hard_share) for goal, one in zip(goals, revised))
    return (cams[0] - cams[1]).abs().mean(dim=(1, 2, 3)), first + second


def normalised(maps: Tensor) -> Tensor:
    """``(B, C, h, w)`` maps, each from 0 at its minimum, or at 0 if that is negative, to 1 at its maximum."""
    maps = maps.relu()
    low, high = maps.amin(dim=(2, 3), keepdim=True), maps.amax(dim=(2, 3), keepdim=True)
    return (maps - low - EPS).relu() / (high - low + EPS)


def hardest(differences: Tensor, share: float) -> Tensor:
    """``(B,)``: mean size of the largest of ``(B, C, h, w)`` differences, of each photograph this share."""
    sizes = differences.abs().flatten(1)
    return sizes.topk(max(1, int(sizes.shape[1] * share)), dim=1).values.mean(dim=1)
