"""DRN-D-105, a dilated ResNet, with the parameter names of its published weights.

Source: Yu, Koltun, Funkhouser, "Dilated Residual Networks" (CVPR 2017), and the public code fyu/drn.
"""

from __future__ import annotations

from torch import Tensor, nn

from wsgcn.nets.resnet import Bottleneck

_RESIDUAL = ((3, 3, 64, 2, 1), (4, 4, 128, 2, 1), (5, 23, 256, 1, 2), (6, 3, 512, 1, 4))
"""Number, blocks, width, stride and dilation of each residual level."""

_MAPS = (2, 3, 4, 6, 8)
"""Levels whose maps count as the five stages."""


class DrnD105(nn.Module):
    """Stride 8; nine levels: plain convolutions, four residual levels, and two plain ones that remove the gridding."""

    channels = [32, 256, 512, 2048, 512]  # noqa: RUF012 - a constant of the architecture

    def __init__(self) -> None:
        super().__init__()
        self.layer0 = _plain(3, 16, kernel=7, stride=1, dilation=1)
        self.layer1 = _plain(16, 16, kernel=3, stride=1, dilation=1)
        self.layer2 = _plain(16, 32, kernel=3, stride=2, dilation=1)
        channels = 32
        for number, count, width, stride, dilation in _RESIDUAL:
            blocks = []
            for position in range(count):
                blocks.append(Bottleneck(channels, width, stride if position == 0 else 1, dilation, dilation))
                channels = width * Bottleneck.expansion
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
        self.layer7 = _plain(channels, 512, kernel=3, stride=1, dilation=2)
        self.layer8 = _plain(512, 512, kernel=3, stride=1, dilation=1)

    def forward(self, x: Tensor) -> list[Tensor]:
        """``(B, 3, H, W)`` normalised photographs to five maps at strides 2, 4, 8, 8 and 8."""
        maps = []
        for level in self._levels():
            x = level(x)
            maps.append(x)
        return [maps[number] for number in _MAPS]

    def stages(self) -> list[list[nn.Module]]:
        """The levels behind each map."""
        levels, before = self._levels(), (-1, *_MAPS)
        return [levels[first + 1 : last + 1] for first, last in zip(before, _MAPS)]

    def _levels(self) -> list[nn.Module]:
        return [self.get_submodule(f"layer{number}") for number in range(9)]


def _plain(channels_in: int, channels_out: int, *, kernel: int, stride: int, dilation: int) -> nn.Sequential:
    padding = kernel // 2 * dilation
    convolution = nn.Conv2d(channels_in, channels_out, kernel, stride, padding, dilation, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels_out), nn.ReLU(inplace=True))
