"""ResNet-38, the wide network "A1" that PSA uses, with the parameter names of its public code.

Source: Wu, Shen, van den Hengel, "Wider or Deeper: Revisiting the ResNet Model for Visual Recognition" (2016), and the
public code of PSA (Ahn and Kwak, CVPR 2018) for the dilations.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_STAGES = {
    "b2": (3, 128, 128, 2, 1),
    "b3": (3, 256, 256, 2, 1),
    "b4": (6, 512, 512, 2, 1),
    "b5": (3, 512, 1024, 1, 2),
}
"""Blocks, channels of the first and of the second convolution, stride and dilation of each stage of wide blocks."""


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
        """``(B, channels_in, h, w)`` to the block's output and its input behind batch norm and ReLU."""
        active = torch.relu(self.bn_branch2a(x))
        out = self.conv_branch2b1(torch.relu(self.bn_branch2b1(self.conv_branch2a(active))))
        return out + (x if self.conv_branch1 is None else self.conv_branch1(active)), active


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
        """``(B, channels_in, h, w)`` to the block's output and its input behind batch norm and ReLU."""
        active = torch.relu(self.bn_branch2a(x))
        out = self.conv_branch2a(active)
        out = self.conv_branch2b1(self.dropout(torch.relu(self.bn_branch2b1(out))))
        out = self.conv_branch2b2(self.dropout(torch.relu(self.bn_branch2b2(out))))
        return out + self.conv_branch1(active), active


class ResNet38(nn.Module):
    """Stride 8; five maps, each behind the batch norm and ReLU that follow a stage.

    PSA calls the last three conv4, conv5 and conv6 and takes its affinity features from them.
    """

    channels = [128, 256, 512, 1024, 4096]  # noqa: RUF012 - a constant of the architecture

    def __init__(self) -> None:
        super().__init__()
        self.conv1a = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        channels, dilation_in = 64, 1
        for name, (count, width, channels_out, stride, dilation) in _STAGES.items():
            for position in range(count):
                step = stride if position == 0 else 1
                block = WideBlock(channels, width, channels_out, step, dilation, dilation_in)
                self.add_module(f"{name}_{position}" if position else name, block)
                channels, dilation_in = channels_out, dilation
        self.b6 = WideBottleneck(1024, 2048, dilation=4, dropout=0.3)
        self.b7 = WideBottleneck(2048, 4096, dilation=4, dropout=0.5)
        self.bn7 = nn.BatchNorm2d(4096)

    def forward(self, x: Tensor) -> list[Tensor]:
        """``(B, 3, H, W)`` normalised photographs to five maps at strides 2, 4, 8, 8 and 8."""
        maps = []
        x = self.conv1a(x)
        for number, blocks in enumerate(self._blocks()):
            for position, block in enumerate(blocks):
                x, active = block(x)
                if number > 0 and position == 0:  # what this stage begins with is what the one before ends with
                    maps.append(active)
        return [*maps, torch.relu(self.bn7(x))]

    def stages(self) -> list[list[nn.Module]]:
        """The blocks behind each map; the first convolution belongs to the first."""
        first, *others, last = self._blocks()
        return [[self.conv1a, *first], *others, [*last, self.bn7]]

    def _blocks(self) -> list[list[nn.Module]]:
        wide = [
            [self.get_submodule(f"{name}_{position}" if position else name) for position in range(count)]
            for name, (count, *_) in _STAGES.items()
        ]
        return [*wide, [self.b6, self.b7]]
