"""Prints what ``tests/weights/test_golden.py`` holds: names, shapes and results of the public modules.

    PUBLIC=DIR python -m tests.parity.golden

Each module gets the weights that follow from its parameters' names, and shows a picture of 64 × 64 pixels.
"""

from __future__ import annotations

import importlib
import pprint
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.parity.public import PUBLIC
from tests.weights.golden import digest, numbers, picture, seeded
from wsgcn.nets.base import to_input

BGR_MEANS = (104.008, 116.669, 122.675)

Result = tuple[dict[str, Tensor], Callable[[], list[Tensor]]]
"""The state of a public module, and what it makes of the picture."""


@contextmanager
def project(name: str) -> Iterator[Callable[[str], Any]]:
    """Imports modules of a public project; two of them may have the same name."""
    sys.path.insert(0, str(PUBLIC / name))
    try:
        yield importlib.import_module
    finally:
        sys.path.remove(str(PUBLIC / name))
        for key, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None)).startswith(str(PUBLIC / name)):
                del sys.modules[key]


def _x() -> Tensor:
    return to_input(picture())[None]


def _bgr() -> Tensor:
    return torch.from_numpy(picture()[..., ::-1] - np.float32(BGR_MEANS)).permute(2, 0, 1)[None].contiguous()


def _stages(net: nn.Module, x: Tensor, *names: str) -> list[Tensor]:
    maps = []
    for name in names:
        x = net.get_submodule(name)(x)
        maps.append(x)
    return maps


def _torchvisions(blocks: tuple[int, ...]) -> Callable[[Any], nn.Module]:
    """IRNet's copy of torchvision's ResNet."""

    def build(load: Any) -> nn.Module:
        module = load("net.resnet50")
        return module.ResNet(module.Bottleneck, blocks)

    return build


def _resnet(net: nn.Module) -> list[Tensor]:
    stem = net.maxpool(torch.relu(net.bn1(net.conv1(_x()))))
    return [stem, *_stages(net, stem, "layer1", "layer2", "layer3", "layer4")]


def _irnets(module: str, name: str) -> Callable[[Any], nn.Module]:
    def build(load: Any) -> nn.Module:
        resnet = load("net.resnet50")
        plain = resnet.resnet50
        resnet.resnet50 = lambda pretrained, **others: plain(pretrained=False, **others)
        return getattr(load(module), name)()

    return build


def _psa_features(net: nn.Module) -> list[Tensor]:
    maps = net.forward_as_dict(_x())
    heads = ((net.f8_3, "conv4"), (net.f8_4, "conv5"), (net.f8_5, "conv6"))
    return [functional.elu(net.f9(torch.cat([functional.elu(head(maps[name])) for head, name in heads], dim=1)))]


def _seams(net: nn.Module) -> list[Tensor]:
    cams, revised = net(_x())
    return [cams[:, 1:], revised]


def _drn(load: Any) -> nn.Module:
    net = load("drn").drn_d_105(pretrained=False)
    net.out_middle, net.avgpool = True, nn.AdaptiveAvgPool2d(1)
    return net


MODULES: dict[str, tuple[str, Callable[[Any], nn.Module], Callable[[Any], list[Tensor]]]] = {
    "resnet-50": ("irn", _torchvisions((3, 4, 6, 3)), _resnet),
    "resnet-101": ("irn", _torchvisions((3, 4, 23, 3)), _resnet),
    "drn-d-105": ("drn", _drn, lambda net: [net(_x())[1][index] for index in (1, 2, 3, 5, 7)]),
    "irnet-cam": ("irn", _irnets("net.resnet50_cam", "CAM"), lambda net: [net(torch.cat([_x(), _x().flip(-1)]))]),
    "irnet-boundary": ("irn", _irnets("net.resnet50_irn", "Net"), lambda net: [*net(_x())]),
    "psa-classifier": ("psa", lambda load: load("network.resnet38_cls").Net(), lambda net: [net.forward_cam(_x())]),
    "psa-affinitynet": ("psa", lambda load: load("network.resnet38_aff").Net(), _psa_features),
    "seam": ("seam", lambda load: load("network.resnet38_SEAM").Net(), _seams),
    "sc-cam": (
        "sc-cam",
        lambda load: load("network.resnet38_cls").Net(10, 3),
        lambda net: [net.forward_two_cam(_x())[0]],
    ),
    "deeplab-voc": (
        "deeplab",
        lambda load: load("libs.models").DeepLabV2_ResNet101_MSC(21),
        lambda net: [net.base(_bgr())],
    ),
    "deeplab-coco": (
        "deeplab",
        lambda load: load("libs.models.deeplabv1").DeepLabV1(91, [3, 4, 23, 3]),
        lambda net: _stages(net, _bgr(), "layer1", "layer2", "layer3", "layer4", "layer5"),
    ),
}
"""Project, module and what it shows, by the name of the importer."""


def public_module(name: str) -> nn.Module:
    """The module with the weights of :func:`seeded`, set to evaluation."""
    where, build, _ = MODULES[name]
    with project(where) as load:
        net = build(load)
    net.load_state_dict(seeded(net.state_dict()), strict=False)
    net.eval()  # IRNet's and PSA's return nothing, or do nothing
    return net


@torch.no_grad()
def golden(name: str) -> tuple[str, list[list[float]]]:
    """Digest of names and shapes, and the numbers, of one importer's public module."""
    net = public_module(name)
    return digest(net.state_dict()), numbers(MODULES[name][2](net))


def mxnet_names(names: list[str]) -> dict[str, str]:
    """PSA's name of each of MXNet's, by its own converter."""
    content = {name: SimpleNamespace(asnumpy=lambda name=name: np.array([ord(one) for one in name])) for name in names}
    before = sys.modules.get("mxnet")
    sys.modules["mxnet"] = SimpleNamespace(nd=SimpleNamespace(load=lambda _: content))  # type: ignore[assignment]
    try:
        with project("psa") as load:
            found = load("network.resnet38d").convert_mxnet_to_torch("")
    finally:
        sys.modules.pop("mxnet") if before is None else sys.modules.update(mxnet=before)
    return {"".join(map(chr, value.tolist())): key for key, value in found.items()}


if __name__ == "__main__":
    sys.stdout.write(pprint.pformat({name: golden(name) for name in MODULES}, width=120, sort_dicts=False))
