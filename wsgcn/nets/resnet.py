"""What the ResNets share: residual blocks and their order, with torchvision's parameter names.

Source: He et al., "Deep Residual Learning" (CVPR 2016); bottlenecks stride in their 3×3 convolution, as those of
torchvision do.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from torch import Tensor, nn

from wsgcn.nets.base import Backbone
from wsgcn.nets.layers import ConvNorms, conv_norm


class BasicBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut."""

    expansion = 1

    def __init__(self, channels_in: int, width: int, stride: int, dilation: int, dilation_in: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, width, 3, stride, dilation_in, dilation_in, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(channels_in, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, channels_in, h, w)`` to ``(B, width, h / stride, w / stride)``."""
        out = self.relu(conv_norm(self.conv1, self.bn1, x))
        out = conv_norm(self.conv2, self.bn2, out)
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions beside a shortcut."""

    expansion = 4

    def __init__(self, channels_in: int, width: int, stride: int, dilation: int, dilation_in: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, dilation_in, dilation_in, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(channels_in, width * self.expansion, stride)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, channels_in, h, w)`` to ``(B, 4 · width, h / stride, w / stride)``."""
        out = self.relu(conv_norm(self.conv1, self.bn1, x))
        out = self.relu(conv_norm(self.conv2, self.bn2, out))
        out = conv_norm(self.conv3, self.bn3, out)
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


def _shortcut(channels_in: int, channels_out: int, stride: int) -> ConvNorms | None:
    if stride == 1 and channels_in == channels_out:
        return None
    return ConvNorms(nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out))


class ResNet(Backbone):
    """A ResNet without its classifier: a stem and four residual stages.

    Attributes:
        block: kind of residual block.
        blocks: number of blocks of the four residual stages.
        width: channels of the stem and of the first stage's 3×3 convolutions; they double each stage.
        dilate: a stage that does not stride dilates instead, so that each cell sees what it saw at stride 32.
        dilate_first: its first block sees what comes in spaced as the stage before left it; else its neighbours.
        ceil_mode: the stem's pooling rounds sizes up.
    """

    block: ClassVar[type[BasicBlock] | type[Bottleneck]] = Bottleneck
    blocks: ClassVar[tuple[int, int, int, int]]
    width: ClassVar[int] = 64
    dilate: ClassVar[bool] = True
    dilate_first: ClassVar[bool] = True
    ceil_mode: ClassVar[bool] = False

    def __init__(self, output_stride: int):
        super().__init__(output_stride)
        width = self.width
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1, ceil_mode=self.ceil_mode)
        self.channels, self.strides = [width], [4]
        channels, stride, dilation = width, 4, 1
        for stage, count in enumerate(self.blocks):
            step, dilation_in = 1, dilation if self.dilate_first else 1
            if stage > 0 and stride < output_stride:
                step, stride = 2, stride * 2
            elif stage > 0 and self.dilate:
                dilation *= 2
            layers = []
            for _ in range(count):
                layers.append(self.block(channels, width * 2**stage, step, dilation, dilation_in))
                # What comes in is spaced as the stage before left it; after the first block, as this stage does.
                step, dilation_in, channels = 1, dilation, width * 2**stage * self.block.expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))
            self.channels.append(channels)
            self.strides.append(stride)

    def maps(self, x: Tensor) -> Iterator[Tensor]:
        """``(B, 3, H, W)`` normalised photographs to five maps, the first two (stem and first stage) at stride 4."""
        x = self.maxpool(self.relu(conv_norm(self.conv1, self.bn1, x)))
        yield x
        for layer in self._layers():
            x = layer(x)
            yield x

    def stages(self) -> list[list[nn.Module]]:
        """The stem, and each residual stage."""
        return [[self.conv1, self.bn1], *([layer] for layer in self._layers())]

    def _layers(self) -> list[nn.Module]:
        return [self.get_submodule(f"layer{stage}") for stage in range(1, len(self.channels))]
