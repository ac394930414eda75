"""SingleStage's stochastic gate: deep features that now and then are replaced by shallow ones while a network trains.

Deep features alone let a network see context everywhere and draw no outlines. The gate's mean are the deep features, so
that without it they are what a later layer expects.

Source: the public code of Araslanov and Roth, "Single-Stage Semantic Segmentation from Image Labels" (CVPR 2020).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wsgcn.ops.resize import resized


def gated(deep: Tensor, shallow: Tensor, rate: float, dropped: Tensor) -> Tensor:
    """Shallow values where deep ones are dropped; the others are moved so that the mean over draws is ``deep``.

    Args:
        deep: of any shape.
        shallow: of the same shape.
        rate: share that is dropped, in [0, 1).
        dropped: bool, of the same shape.
    """
    return torch.where(dropped, shallow, (deep - rate * shallow) / (1 - rate))


class GlobalCues(nn.Module):
    """Shallow features, told what the whole photograph shows: global cue injection.

    The maximum of each deep feature over the photograph gives the scale and shift of the shallow ones.

    Args:
        shallow: their number.
        deep: their number, and that of the result's.
        width: of the shallow features while they are scaled.
    """

    def __init__(self, shallow: int, deep: int, width: int):
        super().__init__()
        self.cues = nn.Sequential(_convolution(deep, 2 * width), nn.BatchNorm2d(2 * width), nn.ReLU())
        self.skip = nn.Sequential(_convolution(shallow, width), nn.BatchNorm2d(width, affine=False))
        self.out = nn.Sequential(_convolution(width, deep), nn.BatchNorm2d(deep), nn.ReLU())

    def forward(self, shallow: Tensor, deep: Tensor) -> Tensor:
        """``(B, shallow, h, w)`` and ``(B, deep, h', w')`` features to ``(B, deep, h, w)``."""
        scale, shift = self.cues(deep).amax(dim=(2, 3), keepdim=True).chunk(2, dim=1)
        return self.out(torch.relu(self.skip(shallow) * (scale + 1) + shift))


class StochasticGate(nn.Module):
    """Deep features, mixed at random with what :class:`GlobalCues` makes of shallow ones; in training alone.

    Args:
        shallow: number of the shallow features.
        deep: number of the deep ones.
        width: see :class:`GlobalCues`.
        rate: share of the deep features that is dropped.
    """

    def __init__(self, shallow: int, deep: int, width: int, rate: float):
        super().__init__()
        self.cues, self.rate = GlobalCues(shallow, deep, width), rate

    def forward(self, shallow: Tensor, deep: Tensor) -> Tensor:
        """``(B, shallow, h, w)`` and ``(B, deep, h', w')`` features to ``(B, deep, h', w')``."""
        if not self.training:
            return deep
        alike = resized(shallow.float(), deep.shape[-2:], antialias=True)
        return gated(deep, self.cues(alike, deep), self.rate, torch.rand_like(deep) < self.rate)


def _convolution(channels: int, results: int) -> nn.Conv2d:
    convolution = nn.Conv2d(channels, results, 1, bias=False)
    nn.init.kaiming_normal_(convolution.weight)
    return convolution
