"""DeepLabv2 as deeplab-pytorch publishes it, trained on VOC 2012.

Source: kazuto1011/deeplab-pytorch, ``libs/models/deeplabv2.py``.
"""

from __future__ import annotations

import re

from torch import nn

from wsgcn.nets.deeplab import NETWORK, build_deeplab
from wsgcn.nets.published import State
from wsgcn.nets.resnet_101_caffe import backbone_of_deeplab
from wsgcn.weights.layout import VOC_CLASSES, Layout

_SETTINGS = {"backbone": "resnet-101-caffe", "output_stride": 8, "classes": VOC_CLASSES, "dilations": [6, 12, 18, 24]}


def from_deeplab(state: State) -> State:
    """A whole DeepLabv2 of deeplab-pytorch: ``aspp.c0`` … ``aspp.c3`` beside the backbone."""
    aspp = {
        re.sub(r"^(base\.)?aspp\.c(\d)\.", r"aspp.branches.\2.", key): value
        for key, value in state.items()
        if key.removeprefix("base.").startswith("aspp.")
    }
    return {f"backbone.{key}": value for key, value in backbone_of_deeplab(state).items()} | aspp


def _deeplab() -> nn.Module:
    return build_deeplab(_SETTINGS, None)


LAYOUTS = {"deeplab-voc": Layout(from_deeplab, _deeplab, (NETWORK, _SETTINGS))}
