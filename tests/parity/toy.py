"""A small network with fixed weights, a photograph, and what else both sides of a comparison start from."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from wsgcn.nets.base import to_input


class ToyNet(nn.Module):
    """The mean of each cell's pixels, mixed for 20 classes: a classifier for our side and for theirs."""

    def __init__(self, stride: int):
        super().__init__()
        self.stride = stride
        self.weight = torch.from_numpy(np.random.default_rng(1).normal(0, 10, (20, 3, 1, 1)).astype(np.float32))
        self.backbone = SimpleNamespace(to_input=to_input, strides=[stride])

    def activation_maps(self, x: Tensor) -> Tensor:
        """As our classifiers give them; a convolution, too, makes ⌈side / stride⌉ cells."""
        return torch.relu(functional.conv2d(functional.avg_pool2d(x, self.stride, ceil_mode=True), self.weight) - 12)

    def forward_cam(self, x: Tensor) -> Tensor:
        """As PSA's classifier gives them."""
        return self.activation_maps(x)

    def forward(self, x: Tensor) -> Tensor:
        """As IRNet's classifier gives them, of a photograph and its mirror image."""
        maps = self.activation_maps(x)
        return maps[0] + maps[1].flip(-1)


def photo(height: int, width: int) -> np.ndarray:
    """Smooth patches of colour with grain."""
    random = np.random.default_rng(0)
    coarse = torch.from_numpy(random.integers(0, 256, (1, 3, height // 8 + 2, width // 8 + 2)).astype(np.float32))
    grown = functional.interpolate(coarse, size=(height, width), mode="bilinear")[0].permute(1, 2, 0).numpy()
    return (grown + random.normal(0, 8, grown.shape)).clip(0, 255).round().astype(np.uint8)


def _regions(rows: int, columns: int) -> np.ndarray:
    """Which of 6 regions each cell of a grid belongs to."""
    centres = np.random.default_rng(2).random((6, 2)) * (rows, columns)
    places = np.mgrid[:rows, :columns].transpose(1, 2, 0)[:, :, None]
    return ((places - centres) ** 2).sum(axis=3).argmin(axis=2)


def boundary(rows: int, columns: int) -> np.ndarray:
    """A boundary map in [0, 1], high where a region ends."""
    regions = np.pad(_regions(rows, columns), ((0, 1), (0, 1)), mode="edge")
    ends = (regions[1:, :-1] != regions[:-1, :-1]) | (regions[:-1, 1:] != regions[:-1, :-1])
    noise = np.random.default_rng(3).random((rows, columns))
    return np.where(ends, 0.9 + 0.09 * noise, 0.2 * noise).astype(np.float32)


def features(rows: int, columns: int) -> np.ndarray:
    """Node features, ``(8, rows, columns)``, alike within a region."""
    random = np.random.default_rng(4)
    kinds = 2 * random.normal(size=(6, 8))
    noise = 0.1 * random.normal(size=(8, rows, columns))
    return (kinds[_regions(rows, columns)].transpose(2, 0, 1) + noise).astype(np.float32)
