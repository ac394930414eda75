"""What the public projects publish: which names their files have, and which network of ours they fill."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from wsgcn.affinity.net import build_affinity_network
from wsgcn.cams.net import CamNet
from wsgcn.nets.backbone import IMAGENET_MEAN, IMAGENET_STD, build_backbone
from wsgcn.nets.deeplab import NETWORK as SEGTRAIN
from wsgcn.nets.deeplab import build_deeplab

State = Mapping[str, Tensor]

VOC_CLASSES = 21
CAFFE_MEAN = (122.675, 116.669, 104.008)
"""Red, green and blue that DeepLab's Caffe models take away from grey levels of 0 … 255."""


@dataclass(frozen=True)
class Layout:
    """One kind of published file.

    Attributes:
        convert: its parameters to those of our network, by name.
        build: our network, empty.
        checkpoint: what a checkpoint of it says: the network's name and its settings; None for a backbone, which is
            stored as parameters by name, as torchvision publishes it.
    """

    convert: Callable[[State], State]
    build: Callable[[], nn.Module]
    checkpoint: tuple[str, Mapping[str, Any]] | None = None


def _backbone(name: str, convert: Callable[[State], State], output_stride: int = 8) -> Layout:
    return Layout(convert, lambda: build_backbone(name, output_stride, None))


def _cam_net(backbone: str, output_stride: int, convert: Callable[[State], State]) -> Layout:
    settings = {"backbone": backbone, "output_stride": output_stride, "classes": VOC_CLASSES}

    def build() -> nn.Module:
        net = build_backbone(backbone, output_stride, None)
        return CamNet(net, channels=net.channels[-1], foreground_classes=VOC_CLASSES - 1, dropout=0)  # type: ignore[index,arg-type]

    return Layout(convert, build, ("cams", settings))


def _affinity_net(variant: str, backbone: str, output_stride: int, convert: Callable[[State], State]) -> Layout:
    settings = {"backbone": backbone, "output_stride": output_stride, "displacement": variant == "I"}

    def build() -> nn.Module:
        net = build_backbone(backbone, output_stride, None)
        return build_affinity_network(variant, net, freeze=True, displacement=variant == "I")

    return Layout(convert, build, (f"affinity/{variant}", settings))


def without_classifier(state: State) -> State:
    """Torchvision's and DRN's files: our names, and a classifier that nobody needs."""
    return {key: value for key, value in state.items() if not key.startswith(("fc.", "classifier."))}


# ---------------------------------------------------------------- IRNet

_IRNET_ALIASES = ("stage", "backbone.", "newly_added.", "edge_layers.", "dp_layers.", "fc_dp7.4.")
_IRNET_BUFFERS = ("path_indices", "disp_target")
_IRNET_NAMES = (
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
    """IRNet's classifier or boundary network; both files hold every parameter under several names.

    Source: jiwoon-ahn/irn, ``net/resnet50_cam.py`` and ``net/resnet50_irn.py``.
    """
    ignored = (*_IRNET_ALIASES, *_IRNET_BUFFERS)
    return {_renamed(key, _IRNET_NAMES): value for key, value in state.items() if not key.startswith(ignored)}


# ---------------------------------------------------------------- PSA

_PSA_NAMES = (
    (r"fc8\.", "classifier."),
    (r"f8_([345])\.", lambda found: f"branches.{int(found[1]) - 3}."),
    (r"f9\.", "last."),
    (r"(?=conv1a\.|b[2-7]|bn7\.)", "backbone."),
)


def from_psa(state: State) -> State:
    """PSA's classifier or AffinityNet.

    Source: jiwoon-ahn/psa, ``network/resnet38_cls.py`` and ``network/resnet38_aff.py``.
    """
    return {_renamed(key, _PSA_NAMES): value for key, value in state.items()}


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


# ---------------------------------------------------------------- DeepLab

_DEEPLAB_PARTS = {"reduce": ("conv1", "bn1"), "conv3x3": ("conv2", "bn2"), "increase": ("conv3", "bn3"),
                  "shortcut": ("downsample.0", "downsample.1")}  # fmt: skip
_DEEPLAB_BLOCK = re.compile(r"layer([2-5])\.block(\d+)\.(reduce|conv3x3|increase|shortcut)\.(conv|bn)\.")
_DEEPLAB_NAMES = (
    (r"layer1\.conv1\.conv\.", "conv1."),
    (r"layer1\.conv1\.bn\.", "bn1."),
    (_DEEPLAB_BLOCK, lambda found: f"layer{int(found[1]) - 1}.{int(found[2]) - 1}.{_part(found[3], found[4])}."),
)


def _part(name: str, kind: str) -> str:
    return _DEEPLAB_PARTS[name][kind == "bn"]


def backbone_of_deeplab(state: State) -> State:
    """The ResNet-101 of a model of deeplab-pytorch, which was Caffe's, made to take our photographs.

    Source: kazuto1011/deeplab-pytorch, ``libs/models/deeplabv2.py`` and ``libs/models/resnet.py``.
    """
    plain = {key.removeprefix("base."): value for key, value in state.items()}
    named = {
        _renamed(key, _DEEPLAB_NAMES): value for key, value in plain.items() if not key.startswith(("aspp.", "fc."))
    }
    return take_our_input(named) if {"conv1.weight", "bn1.running_mean"} <= named.keys() else named


def from_deeplab(state: State) -> State:
    """A whole DeepLabv2 of deeplab-pytorch: ``aspp.c0`` … ``aspp.c3`` beside the backbone."""
    aspp = {
        re.sub(r"^(base\.)?aspp\.c(\d)\.", r"aspp.branches.\2.", key): value
        for key, value in state.items()
        if key.removeprefix("base.").startswith("aspp.")
    }
    return {f"backbone.{key}": value for key, value in backbone_of_deeplab(state).items()} | aspp


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


def _renamed(key: str, names: Any) -> str:
    """The key with the first pattern that it begins with replaced; unchanged where none does."""
    for pattern, replacement in names:
        if re.match(pattern, key):
            return re.sub(pattern, replacement, key, count=1)
    return key


_DEEPLAB = {"backbone": "resnet-101-caffe", "output_stride": 8, "classes": VOC_CLASSES, "dilations": [6, 12, 18, 24]}

LAYOUTS = {
    "mobilenet-v2": _backbone("mobilenet-v2", without_classifier),
    "resnet-50": _backbone("resnet-50", without_classifier),
    "resnet-101": _backbone("resnet-101", without_classifier),
    "drn-d-105": _backbone("drn-d-105", without_classifier),
    "resnet-38": _backbone("resnet-38", from_mxnet),
    "irnet-cam": _cam_net("resnet-50-irnet", 16, from_irnet),
    "irnet-boundary": _affinity_net("I", "resnet-50-irnet", 16, from_irnet),
    "psa-classifier": _cam_net("resnet-38", 8, from_psa),
    "psa-affinitynet": _affinity_net("P", "resnet-38", 8, from_psa),
    "deeplab-coco": _backbone("resnet-101-caffe", backbone_of_deeplab),
    "deeplab-voc": Layout(from_deeplab, lambda: build_deeplab(_DEEPLAB, None), (SEGTRAIN, _DEEPLAB)),
}
"""Every kind of file by the name that the command line knows it by."""
