"""SEAM's network: a classifier whose activation maps its own features correct, pixel by pixel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wsgcn.cams.net import CamNet
from wsgcn.nets.base import Backbone
from wsgcn.ops.resize import resized

EPS = 1e-5
"""Added to what is divided by, and taken from what counts as activated, as in the public code."""

REDUCED = (64, 128)
"""Channels that are taken from the backbone's third and fourth map."""

BLOCK = 1024
"""Pixels whose correlations with all others are held at a time where no gradient is wanted."""

corner_to_corner = partial(resized, align_corners=True)
"""How SEAM makes maps and photographs larger or smaller."""


class SeamMaps(NamedTuple):
    """What the network sees in photographs, at their size or that of the backbone's last map.

    Attributes:
        cams: ``(B, C-1, H, W)``, the linear classifier's; their means are its logits.
        revised: ``(B, C, H, W)`` ≥ 0, corrected, background first.
    """

    cams: Tensor
    revised: Tensor


class PixelCorrelation(nn.Module):
    """The pixel correlation module: each pixel takes the mean of the maps at the pixels that look like it.

    It looks at two of the backbone's maps and at the colours; no gradient goes back into the backbone.

    Args:
        channels: of the backbone's third and fourth map.

    Source: Wang et al. (CVPR 2020), section 3.3; ``network/resnet38_SEAM.py``.
    """

    def __init__(self, channels: Sequence[int]):
        super().__init__()
        self.branches = nn.ModuleList(nn.Conv2d(one, out, 1, bias=False) for one, out in zip(channels, REDUCED))
        self.last = nn.Conv2d(3 + sum(REDUCED), sum(REDUCED), 1, bias=False)
        for branch in self.branches.parameters():
            nn.init.kaiming_normal_(branch)
        nn.init.xavier_uniform_(self.last.weight, gain=4)

    def reduced(self, taps: Iterator[Tensor]) -> list[Tensor]:
        """The features that it takes from the backbone's third and fourth map, one after the other as they come."""
        return [branch(tap.detach()) for branch, tap in zip(self.branches, taps)]

    def forward(self, maps: Tensor, taken: Sequence[Tensor], x: Tensor) -> Tensor:
        """Correct ``(B, C, h, w)`` maps.

        Args:
            maps: ≥ 0.
            taken: :meth:`reduced`, of any resolution.
            x: ``(B, 3, H, W)`` normalised photographs.

        Returns:
            ``(B, C, h, w)`` ≥ 0, no larger than the largest of ``maps``.
        """
        grid = maps.shape[2:]
        parts = [corner_to_corner(one, grid).relu() for one in taken]
        features = self.last(torch.cat([corner_to_corner(x, grid), *parts], dim=1))
        return correlated(maps.flatten(2), features.flatten(2)).unflatten(2, grid)


class SeamNet(CamNet):
    """A classifier and the module that corrects its maps.

    Args:
        backbone: the third and fourth of its maps are what PSA and SEAM call conv4 and conv5.
        foreground_classes: C - 1; the published network has a background channel too, which nothing reads.
        dropout: of whole channels of the last map.
    """

    def __init__(self, backbone: Backbone, foreground_classes: int, dropout: float):
        super().__init__(backbone, foreground_classes, dropout)
        self.correlation = PixelCorrelation(backbone.channels[2:4])

    def forward(self, x: Tensor) -> Tensor:
        """``(B, 3, H, W)`` normalised photographs to ``(B, C-1)`` logits: the means of the maps at their size."""
        cams = self.classifier(self.dropout(self.backbone.last_map(x)))
        return corner_to_corner(cams.float(), x.shape[2:]).mean(dim=(2, 3))

    def maps(self, x: Tensor) -> SeamMaps:
        """Both maps of ``(B, 3, H, W)`` normalised photographs; what is corrected is a constant to the gradient."""
        return SeamMaps(*(corner_to_corner(one, x.shape[2:]) for one in self._on_grid(x)))

    def activation_maps(self, x: Tensor) -> Tensor:
        """``(B, 3, H, W)`` normalised photographs to the corrected ``(B, C-1, H, W)`` maps ≥ 0."""
        return corner_to_corner(self._on_grid(x).revised[:, 1:], x.shape[2:])

    def _on_grid(self, x: Tensor) -> SeamMaps:
        """Both maps at the resolution of the backbone's last."""
        taps = islice(self.backbone.maps(x), 2, None)
        taken = self.correlation.reduced(taps)
        (last,) = taps
        cams = self.classifier(self.dropout(last)).float()
        del last  # it is the largest
        activated = cams.detach().relu()
        peaks = activated.amax(dim=(2, 3), keepdim=True)
        seeds = strongest_with_background((activated - EPS).relu() / (peaks + EPS))
        return SeamMaps(cams, self.correlation(seeds, taken, x).float())


def strongest_with_background(maps: Tensor) -> Tensor:
    """The strongest class of each pixel beside a background that is what it leaves of 1.

    Args:
        maps: ``(B, C-1, h, w)`` foreground classes in [0, 1]; they stay as they are.

    Returns:
        ``(B, C, h, w)``: background 1 - maximum, and 0 for all foreground classes below the maximum.
    """
    strongest = maps.amax(dim=1, keepdim=True)
    return torch.cat([1 - strongest, torch.where(maps == strongest, maps, 0)], dim=1)


def correlated(maps: Tensor, features: Tensor) -> Tensor:
    """Means of maps, each pixel weighted by how alike its features are to those of the pixel that asks.

    The weight of pixel i for pixel j is the cosine of their features, or 0 where that is negative; the weights for j
    sum to 1. All N × N of them exist at once only where a gradient needs them.

    Args:
        maps: ``(B, C, N)``.
        features: ``(B, F, N)``.

    Returns:
        ``(B, C, N)``.
    """
    unit = features / (features.norm(dim=1, keepdim=True) + EPS)
    parts = []
    for block in unit.split(BLOCK, dim=2):
        alike = (unit.transpose(1, 2) @ block).relu()  # (B, N, block)
        parts.append(maps @ alike / (alike.sum(dim=1, keepdim=True) + EPS))
    return torch.cat(parts, dim=2)


def stretched(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """``(K-1, h, w)`` maps in [0, 1] from 0 at their minimum to 1; a map with one value everywhere becomes 0.

    Source: ``infer_SEAM.py``, which leaves its 1e-5 below 0 where the minimum was.
    """
    above = maps - maps.min(axis=(1, 2), keepdims=True)
    peaks = above.max(axis=(1, 2), keepdims=True)
    return above / np.where(peaks > 0, peaks, 1)
