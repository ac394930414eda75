"""MobileNetV2 with torchvision's parameter names.

Source: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks" (CVPR 2018), table 2; weights of
torchvision (``mobilenet_v2-….pth``).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from wsgcn.nets.base import Backbone
from wsgcn.nets.layers import ConvNorms
from wsgcn.nets.published import without_classifier

_TABLE = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion, channels, repeats and stride of each group of blocks."""

_TAPS = (1, 3, 6, 13, 18)
"""Positions in ``features`` whose maps count as the five stages: the last of each stride, and the final one."""


class Depthwise(nn.Conv2d):
    """A 3×3 convolution of each channel by itself, whose backward pass is quick on a CPU too.

    oneDNN has no quick one where the convolution dilates, nor where it strides in bfloat16.
    """

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if x.device.type != "cpu" or not weight.requires_grad:
            return super()._conv_forward(x, weight, bias)
        if self.dilation[0] > 1:
            return self._interleaved(x, weight, bias)
        if self.stride[0] > 1:
            with torch.autocast("cpu", enabled=False):
                return super()._conv_forward(x.to(weight.dtype), weight, bias)
        return super()._conv_forward(x, weight, bias)

    def _interleaved(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """With dilation d: of every d-th row and column, d² small maps, each convolved without dilation."""
        step, (height, width) = self.dilation[0], x.shape[2:]
        x = functional.pad(x, (0, -width % step, 0, -height % step)).permute(0, 2, 3, 1)
        batch, rows, columns, channels = x.shape
        rows, columns = rows // step, columns // step
        x = x.reshape(batch, rows, step, columns, step, channels).permute(0, 2, 4, 1, 3, 5)
        x = x.reshape(-1, rows, columns, channels).permute(0, 3, 1, 2)  # (d² B, C, h / d, w / d)
        x = functional.conv2d(x, weight, bias, padding=1, groups=self.groups).permute(0, 2, 3, 1)
        x = x.reshape(batch, step, step, rows, columns, channels).permute(0, 3, 1, 4, 2, 5)
        return x.reshape(batch, rows * step, columns * step, channels).permute(0, 3, 1, 2)[:, :, :height, :width]


def _conv_bn(channels_in: int, channels_out: int, kernel: int, stride: int, groups: int, dilation: int) -> ConvNorms:
    padding = (kernel - 1) // 2 * dilation
    convolution = nn.Conv2d if groups == 1 else Depthwise
    return ConvNorms(
        convolution(channels_in, channels_out, kernel, stride, padding, dilation, groups, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU6(),  # in place it would copy its input first, for the backward pass
    )


class InvertedResidual(nn.Module):
    """1×1 expansion, 3×3 depthwise, 1×1 projection, with a shortcut where the shapes agree."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, expansion: int, dilation: int):
        super().__init__()
        hidden = channels_in * expansion
        layers: list[nn.Module] = [] if expansion == 1 else [_conv_bn(channels_in, hidden, 1, 1, 1, 1)]
        layers += [
            _conv_bn(hidden, hidden, 3, stride, hidden, dilation),
            nn.Conv2d(hidden, channels_out, 1, bias=False),
            nn.BatchNorm2d(channels_out),
        ]
        self.conv = ConvNorms(*layers)
        self.shortcut = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        """``(B, channels_in, h, w)`` to ``(B, channels_out, h / stride, w / stride)``."""
        return x + self.conv(x) if self.shortcut else self.conv(x)


class MobileNetV2(Backbone):
    """MobileNetV2 without its classifier; later blocks dilate instead of striding."""

    name = "mobilenet-v2"
    pixel_bytes = 400
    importers = {"mobilenet-v2": without_classifier}  # noqa: RUF012 - a constant of the architecture

    def __init__(self, output_stride: int):
        super().__init__(output_stride)
        layers: list[nn.Module] = [_conv_bn(3, 32, 3, 2, 1, 1)]
        channels, stride, dilation = 32, 2, 1
        for expansion, channels_out, repeats, first_stride in _TABLE:
            step, first_dilation = first_stride, dilation
            if first_stride == 2 and stride < output_stride:
                stride *= 2
            elif first_stride == 2:
                step, dilation = 1, dilation * 2
            for position in range(repeats):
                first = position == 0
                layers.append(
                    InvertedResidual(
                        channels, channels_out, step if first else 1, expansion, first_dilation if first else dilation
                    )
                )
                channels = channels_out
        layers.append(_conv_bn(channels, 1280, 1, 1, 1, 1))
        self.features = nn.Sequential(*layers)
        self.channels = [16, 24, 32, 96, 1280]
        self.strides = [min(one, output_stride) for one in (2, 4, 8, 16, 32)]

    def maps(self, x: Tensor) -> Iterator[Tensor]:
        """``(B, 3, H, W)`` normalised photographs to five maps; the first three at strides 2, 4 and 8."""
        for position, layer in enumerate(self.features):
            x = layer(x)
            if position in _TAPS:
                yield x

    def stages(self) -> list[list[nn.Module]]:
        """The layers behind each map."""
        layers, before = list(self.features), (-1, *_TAPS)
        return [layers[first + 1 : last + 1] for first, last in zip(before, _TAPS)]
