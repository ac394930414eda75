"""The two affinity networks: IRNet's boundary branch and PSA's AffinityNet."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from wsgcn.affinity.pairs import PairAffinity, boundary_affinity, feature_affinity
from wsgcn.nets.base import Backbone, freeze_norms

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
    displacement: DisplacementBranch | None
    branches: nn.ModuleList
    last: nn.Conv2d

    def __init__(self, backbone: Backbone, *, freeze: bool):
        super().__init__()
        self.backbone = backbone.requires_grad_(not freeze)
        self.freeze = freeze
        self.displacement = None

    def train(self, mode: bool = True) -> AffinityNetwork:
        """Training mode for the heads; the backbone keeps its batch norms, which small batches would spoil."""
        super().train(mode)
        if self.freeze:
            self.backbone.eval()
        elif mode:
            freeze_norms(self.backbone, "all")
        return self

    def heads(self) -> list[nn.Parameter]:
        """The parameters of what makes the affinities, without the backbone's."""
        return [*self.branches.parameters(), *self.last.parameters()]

    def taps(self, x: Tensor) -> list[Tensor]:
        """The backbone's five maps for ``(B, 3, H, W)`` normalised photographs."""
        return self.backbone(x)

    def node_features(self, taps: Sequence[Tensor], grid: tuple[int, int]) -> Tensor:
        """V of eq. (1), ``(B, F, h, w)``, from the backbone's maps."""
        raise NotImplementedError

    def affinity_maps(self, features: Tensor) -> Tensor:
        """What ``affinity`` compares, ``(B, ·, h, w)``, from the node features."""
        raise NotImplementedError

    def boundary(self, maps: Tensor) -> Tensor:
        """Probability that a cell of the first photograph lies on a boundary, ``(h, w)``, from the affinity maps."""
        return torch.zeros(maps.shape[2:])


def _to_grid(maps: Tensor, grid: tuple[int, int]) -> Tensor:
    return functional.interpolate(maps, size=grid, mode="bilinear", align_corners=False)


class BoundaryBranch(AffinityNetwork):
    """IRNet's boundary branch: five side branches of 32 channels, concatenated, and one 1×1 convolution.

    Source: Ahn et al., "Weakly Supervised Learning of Instance Segmentation with Inter-pixel Relations" (CVPR 2019),
    figure 3; 1×1 convolution, group norm of 4 groups, ReLU.
    """

    def __init__(self, backbone: Backbone, channels: Sequence[int], *, freeze: bool, displacement: bool):
        super().__init__(backbone, freeze=freeze)
        self.affinity = boundary_affinity
        self.displacement = DisplacementBranch(channels) if displacement else None
        self.branches = nn.ModuleList(
            nn.Sequential(nn.Conv2d(one, BRANCH_CHANNELS, 1, bias=False), nn.GroupNorm(4, BRANCH_CHANNELS))
            for one in channels
        )
        self.last = nn.Conv2d(BRANCH_CHANNELS * len(channels), 1, 1)

    def node_features(self, taps: Sequence[Tensor], grid: tuple[int, int]) -> Tensor:
        """``(B, 160, h, w)`` ≥ 0, before the last convolution."""
        return torch.cat([torch.relu(_to_grid(head(tap), grid)) for head, tap in zip(self.branches, taps)], dim=1)

    def affinity_maps(self, features: Tensor) -> Tensor:
        """The boundary map, ``(B, 1, h, w)`` in [0, 1]."""
        # In bfloat16 the sigmoid would be 1, and without a gradient, from 6.3 on.
        return torch.sigmoid(self.last(features).float())

    def boundary(self, maps: Tensor) -> Tensor:
        """The boundary map itself."""
        return maps[0, 0]


class DisplacementBranch(nn.Module):
    """IRNet's displacement field: for each cell the way to the centre of its object, in cells.

    The maps of the last three stages are mixed at the third one's resolution, and with the first two at the grid's.
    Semantic labels do not need it; it is learned beside the boundary because IRNet's published weights hold both.

    Source: Ahn et al. (CVPR 2019), section 4.1; channels and groups as in the public code.
    """

    mean: Tensor

    def __init__(self, channels: Sequence[int]):
        super().__init__()
        widths = (64, 128, 256, 256, 256)
        self.branches = nn.ModuleList(_normed(one, width) for one, width in zip(channels, widths))
        self.deep = _normed(sum(widths[2:]), 256)
        self.mixed = _normed(sum(widths[:2]) + 256, 256)
        self.last = nn.Conv2d(256, 2, 1, bias=False)
        self.register_buffer("mean", torch.zeros(2))

    def forward(self, taps: Sequence[Tensor], grid: tuple[int, int]) -> Tensor:
        """The five maps of a backbone to ``(B, 2, h, w)``: rows and columns, less their mean once that is known.

        The mean shift (:attr:`mean`, found after training) holds in evaluation only.
        """
        heads = [head(tap) for head, tap in zip(self.branches, taps)]
        middle = (heads[2].shape[2], heads[2].shape[3])
        deep = self.deep(torch.cat([torch.relu(_to_grid(one, middle)) for one in heads[2:]], dim=1))
        parts = [torch.relu(_to_grid(one, grid)) for one in (*heads[:2], deep)]
        field: Tensor = self.last(torch.relu(self.mixed(torch.cat(parts, dim=1))))
        return field if self.training else field - self.mean[:, None, None]


def _normed(channels_in: int, channels_out: int) -> nn.Sequential:
    groups = 8 if channels_out == 64 else 16
    return nn.Sequential(nn.Conv2d(channels_in, channels_out, 1, bias=False), nn.GroupNorm(groups, channels_out))


class AffinityNet(AffinityNetwork):
    """PSA's AffinityNet: the last three stages reduced to 64 + 128 + 256 channels, then mixed.

    Source: Ahn and Kwak, "Learning Pixel-level Semantic Affinity with Image-level Supervision" (CVPR 2018), figure 2.
    """

    def __init__(self, backbone: Backbone, channels: Sequence[int], *, freeze: bool):
        super().__init__(backbone, freeze=freeze)
        self.affinity = feature_affinity
        reduced = zip(channels[-3:], SEMANTIC_CHANNELS)
        self.branches = nn.ModuleList(nn.Conv2d(one, out, 1, bias=False) for one, out in reduced)
        self.last = nn.Conv2d(sum(SEMANTIC_CHANNELS), sum(SEMANTIC_CHANNELS), 1, bias=False)

    def draw_heads(self) -> None:
        """New weights as PSA draws them: Kaiming's normal ones; of the last layer Xavier's, four times as large."""
        for weight in self.branches.parameters():
            nn.init.kaiming_normal_(weight)
        nn.init.xavier_uniform_(self.last.weight, gain=4)

    def node_features(self, taps: Sequence[Tensor], grid: tuple[int, int]) -> Tensor:
        """``(B, 448, h, w)`` > -1."""
        # PSA resizes before the convolution; of one cell and without a bias, it commutes with that.
        parts = [functional.elu(_to_grid(head(tap), grid)) for head, tap in zip(self.branches, taps[-3:])]
        return functional.elu(self.last(torch.cat(parts, dim=1)))

    def affinity_maps(self, features: Tensor) -> Tensor:
        """The features themselves."""
        return features.float()
