"""ResNet-38, the wide network "A1" that PSA uses, with the parameter names of its public code.

Source: Wu, Shen, van den Hengel, "Wider or Deeper: Revisiting the ResNet Model for Visual Recognition" (2016), and the
public code of PSA (Ahn and Kwak, CVPR 2018) for the dilations; ImageNet weights of itijyou/ademxapp, an MXNet file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor, nn

from wsgcn.nets.base import Backbone
from wsgcn.nets.layers import conv_norm, norm_relu
from wsgcn.nets.published import State

_STRIDES_AND_DILATIONS = ((2, 1), (2, 1), (2, 1), (1, 2))
"""Of the four stages of wide blocks."""


class WideBlock(nn.Module):
    """Batch norm, ReLU, 3×3 convolution, twice, beside a shortcut that starts behind the first ReLU."""

    def __init__(self, channels_in: int, width: int, channels_out: int, stride: int, dilation: int, dilation_in: int):
        super().__init__()
        self.bn_branch2a = nn.BatchNorm2d(channels_in)
        self.conv_branch2a = nn.Conv2d(channels_in, width, 3, stride, dilation_in, dilation_in, bias=False)
        self.bn_branch2b1 = nn.BatchNorm2d(width)
        self.conv_branch2b1 = nn.Conv2d(width, channels_out, 3, 1, dilation, dilation, bias=False)
        reshapes = stride != 1 or channels_in != channels_out
        self.conv_branch1 = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False) if reshapes else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, channels_in, h, w)``, which may be written into, to the output and the input behind norm and ReLU."""
        active = norm_relu(self.bn_branch2a, x, keep=self.conv_branch1 is None)
        out = torch.relu_(conv_norm(self.conv_branch2a, self.bn_branch2b1, active))
        out = self.conv_branch2b1(out)
        out += x if self.conv_branch1 is None else self.conv_branch1(active)
        return out, active


class WideBottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions, each behind batch norm and ReLU, with dropout of whole channels between them."""

    def __init__(self, channels_in: int, channels_out: int, dilation: int, dropout: float):
        super().__init__()
        quarter, half = channels_out // 4, channels_out // 2
        self.bn_branch2a = nn.BatchNorm2d(channels_in)
        self.conv_branch2a = nn.Conv2d(channels_in, quarter, 1, bias=False)
        self.bn_branch2b1 = nn.BatchNorm2d(quarter)
        self.conv_branch2b1 = nn.Conv2d(quarter, half, 3, 1, dilation, dilation, bias=False)
        self.bn_branch2b2 = nn.BatchNorm2d(half)
        self.conv_branch2b2 = nn.Conv2d(half, channels_out, 1, bias=False)
        self.conv_branch1 = nn.Conv2d(channels_in, channels_out, 1, bias=False)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, channels_in, h, w)``, which may be written into, to the output and the input behind norm and ReLU."""
        active = norm_relu(self.bn_branch2a, x, keep=False)
        out = self.dropout(torch.relu_(conv_norm(self.conv_branch2a, self.bn_branch2b1, active)))
        out = self.dropout(torch.relu_(conv_norm(self.conv_branch2b1, self.bn_branch2b2, out)))
        out = self.conv_branch2b2(out)
        out += self.conv_branch1(active)
        return out, active


_MXNET_KINDS = {
    **{"weight": "weight", "gamma": "weight", "beta": "bias"},
    **{"moving_mean": "running_mean", "moving_var": "running_var"},
}
_MXNET_BLOCK = re.compile(r"(?:arg|aux):(res|bn)(\d)(?:a|b(\d+))_(branch[a-z0-9]+)_([a-z_]+)$")
_MXNET_SINGLE = re.compile(r"(?:arg|aux):(conv1a|bn7)_([a-z_]+)$")


def from_mxnet(state: State) -> State:
    """ResNet-38's ImageNet weights: ``arg:res4b3_branch2a_weight`` is ``b4_3.conv_branch2a.weight``.

    Source: itijyou/ademxapp's files, named as PSA's public code reads them.
    """
    return {_from_mxnet_name(key): value for key, value in state.items() if "linear1000" not in key}


def _from_mxnet_name(key: str) -> str:
    block, single = _MXNET_BLOCK.match(key), _MXNET_SINGLE.match(key)
    if block and block[5] in _MXNET_KINDS:
        number = f"_{block[3]}" if block[3] else ""
        return f"b{block[2]}{number}.{'conv' if block[1] == 'res' else 'bn'}_{block[4]}.{_MXNET_KINDS[block[5]]}"
    if single and single[2] in _MXNET_KINDS:
        return f"{single[1]}.{_MXNET_KINDS[single[2]]}"
    return key  # it will be listed as unexpected


class ResNet38(Backbone):
    """Stride 8; five maps, each behind the batch norm and ReLU that follow a stage.

    PSA calls the last three conv4, conv5 and conv6 and takes its affinity features from them.

    Attributes:
        stem: channels of the first convolution.
        wide: blocks, channels of the first and of the second convolution of each stage of wide blocks.
        deep: channels of the two bottlenecks at the end.
    """

    name = "resnet-38"
    output_strides = (8,)
    pixel_bytes = 900
    importers = {"resnet-38": from_mxnet}  # noqa: RUF012 - a constant of the architecture
    stem: ClassVar[int] = 64
    wide: ClassVar[tuple[tuple[int, int, int], ...]] = ((3, 128, 128), (3, 256, 256), (6, 512, 512), (3, 512, 1024))
    deep: ClassVar[tuple[int, int]] = (2048, 4096)

    def __init__(self, output_stride: int):
        super().__init__(output_stride)
        self.conv1a = nn.Conv2d(3, self.stem, 3, padding=1, bias=False)
        channels, dilation_in = self.stem, 1
        for stage, (count, width, channels_out) in enumerate(self.wide):
            stride, dilation = _STRIDES_AND_DILATIONS[stage]
            for position in range(count):
                step = stride if position == 0 else 1
                block = WideBlock(channels, width, channels_out, step, dilation, dilation_in)
                self.add_module(_block_name(stage, position), block)
                channels, dilation_in = channels_out, dilation
        self.b6 = WideBottleneck(channels, self.deep[0], dilation=4, dropout=0.3)
        self.b7 = WideBottleneck(self.deep[0], self.deep[1], dilation=4, dropout=0.5)
        self.bn7 = nn.BatchNorm2d(self.deep[1])
        self.channels = [*(channels_out for *_, channels_out in self.wide), self.deep[1]]
        self.strides = [2, 4, 8, 8, 8]

    def maps(self, x: Tensor) -> Iterator[Tensor]:
        """``(B, 3, H, W)`` normalised photographs to five maps at strides 2, 4, 8, 8 and 8."""
        x = self.conv1a(x)
        for number, blocks in enumerate(self._blocks()):
            for position, block in enumerate(blocks):
                x, active = block(x)
                if number > 0 and position == 0:  # what this stage begins with is what the one before ends with
                    yield active
                del active
        yield norm_relu(self.bn7, x, keep=False)

    def stages(self) -> list[list[nn.Module]]:
        """The blocks behind each map; the first convolution belongs to the first."""
        first, *others, last = self._blocks()
        return [[self.conv1a, *first], *others, [*last, self.bn7]]

    def _blocks(self) -> list[list[nn.Module]]:
        wide = [
            [self.get_submodule(_block_name(stage, position)) for position in range(count)]
            for stage, (count, *_) in enumerate(self.wide)
        ]
        return [*wide, [self.b6, self.b7]]


def _block_name(stage: int, position: int) -> str:
    """``b2``, ``b2_1``, ``b2_2``, ``b3``, …."""
    return f"b{stage + 2}_{position}" if position else f"b{stage + 2}"
