"""The ResNet-101 of DeepLabv2, which was a model of Caffe's.

Source: MSRA's Caffe models as kazuto1011/deeplab-pytorch has them, ``libs/models/resnet.py``; its weights trained on
COCO are the published ones, made to take our photographs.
"""

from __future__ import annotations

import re

import torch

from wsgcn.nets.base import IMAGENET_MEAN, IMAGENET_STD
from wsgcn.nets.published import State, renamed
from wsgcn.nets.resnet import Bottleneck, ResNet

CAFFE_MEAN = (122.675, 116.669, 104.008)
"""Red, green and blue that DeepLab's Caffe models take away from grey levels of 0 … 255."""

_PARTS = {"reduce": ("conv1", "bn1"), "conv3x3": ("conv2", "bn2"), "increase": ("conv3", "bn3"),
          "shortcut": ("downsample.0", "downsample.1")}  # fmt: skip


class CaffeBottleneck(Bottleneck):
    """A bottleneck that strides in its first 1×1 convolution, and dilates from a stage's first block on."""

    def __init__(self, channels_in: int, width: int, stride: int, dilation: int, dilation_in: int):
        super().__init__(channels_in, width, stride, dilation, dilation)
        self.conv1.stride, self.conv2.stride = self.conv2.stride, self.conv1.stride


def backbone_of_deeplab(state: State) -> State:
    """The ResNet-101 of a model of deeplab-pytorch, which was Caffe's, made to take our photographs.

    Source: kazuto1011/deeplab-pytorch, ``libs/models/deeplabv2.py`` and ``libs/models/resnet.py``.
    """
    plain = {key.removeprefix("base."): value for key, value in state.items()}
    named = {renamed(key, _NAMES): value for key, value in plain.items() if not key.startswith(("aspp.", "fc."))}
    return take_our_input(named) if {"conv1.weight", "bn1.running_mean"} <= named.keys() else named


def take_our_input(state: State) -> State:
    """Make a backbone that was trained on Caffe's input give the same features for ours.

    Caffe's is blue, green, red of 0 … 255 less a mean; ours is red, green, blue, normalised. As the first convolution
    is linear, scaling its weights and moving the mean of the batch norm behind it does the same, but for the cells
    beside the border, where ours pads with another grey, less than one level away.
    """
    mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
    weight = state["conv1.weight"].flip(1)  # blue, green, red -> red, green, blue
    offset = 255 * mean - torch.tensor(CAFFE_MEAN)
    return dict(state) | {
        "conv1.weight": weight * (255 * std)[:, None, None],
        "bn1.running_mean": state["bn1.running_mean"] - torch.einsum("oikl,i->o", weight, offset),
    }


def _block_name(found: re.Match[str]) -> str:
    part = _PARTS[found[3]][found[4] == "bn"]
    return f"layer{int(found[1]) - 1}.{int(found[2]) - 1}.{part}."


_NAMES = (
    (r"layer1\.conv1\.conv\.", "conv1."),
    (r"layer1\.conv1\.bn\.", "bn1."),
    (r"layer([2-5])\.block(\d+)\.(reduce|conv3x3|increase|shortcut)\.(conv|bn)\.", _block_name),
)


class CaffeResNet101(ResNet):
    """ResNet-101 of Caffe's bottlenecks; the stem's pooling rounds sizes up, as Caffe does."""

    name = "resnet-101-caffe"
    block = CaffeBottleneck
    blocks = (3, 4, 23, 3)
    ceil_mode = True
    importers = {"deeplab-coco": backbone_of_deeplab}  # noqa: RUF012 - a constant of the architecture
