"""DRN-D-105, a dilated ResNet, with the parameter names of its published weights.

Source: Yu, Koltun, Funkhouser, "Dilated Residual Networks" (CVPR 2017), and the public code and weights of fyu/drn.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from torch import Tensor, nn

from wsgcn.nets.base import Backbone
from wsgcn.nets.layers import ConvNorms
from wsgcn.nets.published import without_classifier
from wsgcn.nets.resnet import Bottleneck

_STRIDES_AND_DILATIONS = ((2, 1), (2, 1), (1, 2), (1, 4))
"""Of the four residual levels."""

_MAPS = (2, 3, 4, 6, 8)
"""Levels whose maps count as the five stages."""


class DrnD105(Backbone):
    """Stride 8; nine levels: plain convolutions, four residual levels, and two plain ones that remove the gridding.

    Attributes:
        stem: channels of the three plain levels at the beginning.
        residual: blocks and width of the four residual levels.
        head: channels of the two plain levels at the end.
    """

    name = "drn-d-105"
    output_strides = (8,)
    importers = {"drn-d-105": without_classifier}  # noqa: RUF012 - a constant of the architecture
    stem: ClassVar[tuple[int, int, int]] = (16, 16, 32)
    residual: ClassVar[tuple[tuple[int, int], ...]] = ((3, 64), (4, 128), (23, 256), (3, 512))
    head: ClassVar[int] = 512

    def __init__(self, output_stride: int):
        super().__init__(output_stride)
        first, second, channels = self.stem
        self.layer0 = _plain(3, first, kernel=7, stride=1, dilation=1)
        self.layer1 = _plain(first, second, kernel=3, stride=1, dilation=1)
        self.layer2 = _plain(second, channels, kernel=3, stride=2, dilation=1)
        widths = [channels]
        for number, ((count, width), steps) in enumerate(zip(self.residual, _STRIDES_AND_DILATIONS), start=3):
            stride, dilation = steps
            blocks = []
            for position in range(count):
                blocks.append(Bottleneck(channels, width, stride if position == 0 else 1, dilation, dilation))
                channels = width * Bottleneck.expansion
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
            widths.append(channels)
        self.layer7 = _plain(channels, self.head, kernel=3, stride=1, dilation=2)
        self.layer8 = _plain(self.head, self.head, kernel=3, stride=1, dilation=1)
        self.channels = [widths[0], widths[1], widths[2], widths[4], self.head]
        self.strides = [2, 4, 8, 8, 8]

    def maps(self, x: Tensor) -> Iterator[Tensor]:
        """``(B, 3, H, W)`` normalised photographs to five maps at strides 2, 4, 8, 8 and 8."""
        for number, level in enumerate(self._levels()):
            x = level(x)
            if number in _MAPS:
                yield x

    def stages(self) -> list[list[nn.Module]]:
        """The levels behind each map."""
        levels, before = self._levels(), (-1, *_MAPS)
        return [levels[first + 1 : last + 1] for first, last in zip(before, _MAPS)]

    def _levels(self) -> list[nn.Module]:
        return [self.get_submodule(f"layer{number}") for number in range(9)]


def _plain(channels_in: int, channels_out: int, *, kernel: int, stride: int, dilation: int) -> ConvNorms:
    padding = kernel // 2 * dilation
    convolution = nn.Conv2d(channels_in, channels_out, kernel, stride, padding, dilation, bias=False)
    return ConvNorms(convolution, nn.BatchNorm2d(channels_out), nn.ReLU(inplace=True))
