"""PSA's published networks: its classifier and its AffinityNet; and SC-CAM's, which is PSA's with a second layer.

Source: jiwoon-ahn/psa, ``network/resnet38_cls.py`` and ``network/resnet38_aff.py``; Juliachang/SC-CAM,
``network/resnet38_cls.py``.
"""

from __future__ import annotations

from torch import nn

from wsgcn.nets.build import build_backbone
from wsgcn.nets.published import State, renamed
from wsgcn.weights.layout import VOC_CLASSES, Layout

_SETTINGS = {"backbone": "resnet-38", "output_stride": 8}

_NAMES = (
    (r"fc8(_20)?\.", "classifier."),
    (r"f8_([345])\.", lambda found: f"branches.{int(found[1]) - 3}."),
    (r"f9\.", "last."),
    (r"(?=conv1a\.|b[2-7]|bn7\.)", "backbone."),
)


def from_psa(state: State) -> State:
    """PSA's classifier or AffinityNet."""
    return {renamed(key, _NAMES): value for key, value in state.items()}


def from_sc_cam(state: State) -> State:
    """SC-CAM's classifier without the layer that tells sub-categories, which teaches and is not asked."""
    return from_psa({key: value for key, value in state.items() if not key.startswith("fc8_200.")})


def _classifier() -> nn.Module:
    from wsgcn.cams.net import CamNet

    backbone = build_backbone("resnet-38", 8, None)
    return CamNet(backbone, VOC_CLASSES - 1, dropout=0)


def _affinitynet() -> nn.Module:
    from wsgcn.affinity.net import AffinityNet

    backbone = build_backbone("resnet-38", 8, None)
    return AffinityNet(backbone, backbone.channels, freeze=True)


_CLASSIFIER = ("cams", {**_SETTINGS, "classes": VOC_CLASSES})

LAYOUTS = {
    "psa-classifier": Layout(from_psa, _classifier, _CLASSIFIER),
    "sc-cam": Layout(from_sc_cam, _classifier, _CLASSIFIER),
    "psa-affinitynet": Layout(from_psa, _affinitynet, ("affinity/affinitynet", _SETTINGS)),
}
