"""SEAM's published network, ``resnet38_SEAM.pth``.

Source: YudeWang/SEAM, ``network/resnet38_SEAM.py``.
"""

from __future__ import annotations

from torch import nn

from wsgcn.nets.build import build_backbone
from wsgcn.nets.published import State, renamed
from wsgcn.vocabulary import CAM_NETWORK
from wsgcn.weights.layout import VOC_CLASSES, Layout

_SETTINGS = {"backbone": "resnet-38", "output_stride": 8, "classes": VOC_CLASSES}

_NAMES = (
    (r"fc8\.", "classifier."),
    (r"f8_([34])\.", lambda found: f"correlation.branches.{int(found[1]) - 3}."),
    (r"f9\.", "correlation.last."),
    (r"(?=conv1a\.|b[2-7]|bn7\.)", "backbone."),
)


def from_seam(state: State) -> State:
    """SEAM's network; of its classifier's 21 channels the first, for a background that nothing reads, is left out."""
    return {renamed(key, _NAMES): value[1:] if key == "fc8.weight" else value for key, value in state.items()}


def _network() -> nn.Module:
    from wsgcn.cams.seam_net import SeamNet

    return SeamNet(build_backbone("resnet-38", 8, None), VOC_CLASSES - 1, dropout=0)


LAYOUTS = {"seam": Layout(from_seam, _network, (CAM_NETWORK, _SETTINGS))}
