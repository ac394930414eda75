"""IRNet's published networks: its classifier, and its boundary and displacement branches.

Source: jiwoon-ahn/irn, ``net/resnet50_cam.py`` and ``net/resnet50_irn.py``.
"""

from __future__ import annotations

from torch import nn

from wsgcn.nets.build import build_backbone
from wsgcn.nets.published import State, renamed
from wsgcn.weights.layout import VOC_CLASSES, Layout

_SETTINGS = {"backbone": "resnet-50-irnet", "output_stride": 16}

_ALIASES = ("stage", "backbone.", "newly_added.", "edge_layers.", "dp_layers.", "fc_dp7.4.")
_BUFFERS = ("path_indices", "disp_target")
_NAMES = (
    (r"resnet50\.", "backbone."),
    (r"fc_edge6\.", "last."),
    (r"fc_edge([1-5])\.", lambda found: f"branches.{int(found[1]) - 1}."),
    (r"fc_dp7\.3\.", "displacement.last."),
    (r"fc_dp7\.", "displacement.mixed."),
    (r"fc_dp6\.", "displacement.deep."),
    (r"fc_dp([1-5])\.", lambda found: f"displacement.branches.{int(found[1]) - 1}."),
    (r"mean_shift\.running_mean$", "displacement.mean"),
)


def from_irnet(state: State) -> State:
    """IRNet's classifier or boundary network; both files hold every parameter under several names."""
    ignored = (*_ALIASES, *_BUFFERS)
    return {renamed(key, _NAMES): value for key, value in state.items() if not key.startswith(ignored)}


def _classifier() -> nn.Module:
    from wsgcn.cams.net import CamNet

    backbone = build_backbone("resnet-50-irnet", 16, None)
    return CamNet(backbone, VOC_CLASSES - 1, dropout=0)


def _boundary() -> nn.Module:
    from wsgcn.affinity.net import BoundaryBranch

    backbone = build_backbone("resnet-50-irnet", 16, None)
    return BoundaryBranch(backbone, backbone.channels, freeze=True, displacement=True)


LAYOUTS = {
    "irnet-cam": Layout(from_irnet, _classifier, ("cams", {**_SETTINGS, "classes": VOC_CLASSES})),
    "irnet-boundary": Layout(from_irnet, _boundary, ("affinity/boundary", {**_SETTINGS, "displacement": True})),
}
