"""The two affinity networks: IRNet's boundary branch (variant I) and PSA's AffinityNet (variant P)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from wsgcn.affinity.pairs import PairAffinity, boundary_affinity, feature_affinity
from wsgcn.nets.backbone import features_of, freeze_norms

BRANCH_CHANNELS = 32
"""Channels of each of IRNet's five side branches: 160 node features."""

SEMANTIC_CHANNELS = (64, 128, 256)
"""Channels that PSA takes from the last three stages: 448 node features."""


class AffinityNetwork(nn.Module):
    """What both networks have in common: a backbone, perhaps frozen, and maps on the grid.

    Args:
        backbone: gives five maps.
        freeze: the backbone neither learns nor keeps gradients.
    """

    affinity: PairAffinity
    branches: nn.ModuleList
    last: nn.Conv2d

    def __init__(self, backbone: nn.Module, *, freeze: bool):
        super().__init__()
        self.backbone = backbone
        self.freeze = freeze

    def train(self, mode: bool = True) -> AffinityNetwork:
        """Training mode for the heads; the backbone keeps its batch norms, which small batches would spoil."""
        super().train(mode)
        if self.freeze:
            self.backbone.eval()
        elif mode:
            freeze_norms(self.backbone)
        return self

    def heads(self) -> list[nn.Parameter]:
        """The parameters that are not the backbone's."""
        return [*self.branches.parameters(), *self.last.parameters()]

    def taps(self, x: Tensor) -> list[Tensor]:
        """The backbone's five maps for ``(B, 3, H, W)`` normalised photographs."""
        if self.freeze:
            with torch.no_grad():
                return features_of(self.backbone, x)
        return features_of(self.backbone, x)

    def node_features(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """V of eq. (1), ``(B, F, h, w)``."""
        raise NotImplementedError

    def affinity_maps(self, features: Tensor) -> Tensor:
        """What ``affinity`` compares, ``(B, ·, h, w)``, from the node features."""
        raise NotImplementedError


def _to_grid(maps: Tensor, grid: tuple[int, int]) -> Tensor:
    return functional.interpolate(maps, size=grid, mode="bilinear", align_corners=False)


class BoundaryBranch(AffinityNetwork):
    """IRNet's boundary branch: five side branches of 32 channels, concatenated, and one 1×1 convolution.

    Source: Ahn et al., "Weakly Supervised Learning of Instance Segmentation with Inter-pixel Relations" (CVPR 2019),
    figure 3; 1×1 convolution, group norm of 4 groups, ReLU.
    """

    def __init__(self, backbone: nn.Module, channels: Sequence[int], *, freeze: bool):
        super().__init__(backbone, freeze=freeze)
        self.affinity = boundary_affinity
        self.branches = nn.ModuleList(
            nn.Sequential(nn.Conv2d(one, BRANCH_CHANNELS, 1, bias=False), nn.GroupNorm(4, BRANCH_CHANNELS))
            for one in channels
        )
        self.last = nn.Conv2d(BRANCH_CHANNELS * len(channels), 1, 1)

    def node_features(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """``(B, 160, h, w)`` ≥ 0, before the last convolution."""
        branches = zip(self.branches, self.taps(x))
        return torch.cat([torch.relu(_to_grid(head(tap), grid)) for head, tap in branches], dim=1)

    def affinity_maps(self, features: Tensor) -> Tensor:
        """The boundary map, ``(B, 1, h, w)`` in [0, 1]."""
        return torch.sigmoid(self.last(features))


class AffinityNet(AffinityNetwork):
    """PSA's AffinityNet: the last three stages reduced to 64 + 128 + 256 channels, then mixed.

    Source: Ahn and Kwak, "Learning Pixel-level Semantic Affinity with Image-level Supervision" (CVPR 2018), figure 2.
    """

    def __init__(self, backbone: nn.Module, channels: Sequence[int], *, freeze: bool):
        super().__init__(backbone, freeze=freeze)
        self.affinity = feature_affinity
        reduced = zip(channels[-3:], SEMANTIC_CHANNELS)
        self.branches = nn.ModuleList(nn.Conv2d(one, out, 1, bias=False) for one, out in reduced)
        self.last = nn.Conv2d(sum(SEMANTIC_CHANNELS), sum(SEMANTIC_CHANNELS), 1, bias=False)

    def node_features(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """``(B, 448, h, w)`` > -1."""
        branches = zip(self.branches, self.taps(x)[-3:])
        parts = [functional.elu(head(_to_grid(tap, grid))) for head, tap in branches]
        return functional.elu(self.last(torch.cat(parts, dim=1)))

    def affinity_maps(self, features: Tensor) -> Tensor:
        """The features themselves."""
        return features


def build_affinity_network(variant: str, backbone: nn.Module, *, freeze: bool) -> AffinityNetwork:
    """The affinity network of a variant on a backbone."""
    channels: Sequence[int] = backbone.channels  # type: ignore[assignment]
    if variant == "I":
        return BoundaryBranch(backbone, channels, freeze=freeze)
    return AffinityNet(backbone, channels, freeze=freeze)


def network_settings(backbone: str, output_stride: int) -> dict[str, Any]:
    """What decides the structure, to be kept in the checkpoint."""
    return {"backbone": backbone, "output_stride": output_stride}
