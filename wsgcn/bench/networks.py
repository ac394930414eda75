"""The networks of a project on one photograph: what one forward and backward pass costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgcn.affinity.fit import AffinityObjective
from wsgcn.affinity.net import build_affinity_network
from wsgcn.cams.fit import ClassifierObjective, multi_hot
from wsgcn.cams.net import build_cam_net
from wsgcn.nets.backbone import build_backbone, freeze_stages, to_input
from wsgcn.nets.deeplab import build_deeplab
from wsgcn.ops.resize import grid_size
from wsgcn.ops.stencil import half_disc
from wsgcn.segtrain.fit import SegmentationObjective
from wsgcn.store.photos import load_photo
from wsgcn.training.loop import Objective
from wsgcn.vocabulary import Variant

if TYPE_CHECKING:
    from wsgcn.params import Params

Build = Callable[["Params", tuple[int, int]], Objective]


def _classifier(params: Params, variant: Variant) -> Objective:
    settings = params.cams.net(variant)
    net = build_cam_net(settings, len(params.dataset.classes), pretrained=False)
    freeze_stages(net.backbone, settings.frozen_stages)
    return ClassifierObjective(net, settings.train)


def _affinity(params: Params, size: tuple[int, int], variant: Variant) -> Objective:
    settings, own = params.cams.net(variant), params.affinity.net(variant)
    backbone = build_backbone(settings.backbone, settings.output_stride, None)
    displacement = variant == "I" and params.affinity.I.displacement
    net = build_affinity_network(variant, backbone, freeze=own.train.backbone_lr_factor == 0, displacement=displacement)
    freeze_stages(backbone, settings.frozen_stages)
    grid = grid_size(*size, settings.grid_stride)
    return AffinityObjective(net, own.train, grid, half_disc(own.train_radius), (params.runtime.seed, "bench", variant))


def _deeplab(params: Params) -> Objective:
    settings = {
        "backbone": params.segtrain.backbone,
        "output_stride": params.segtrain.output_stride,
        "classes": len(params.dataset.classes),
        "dilations": list(params.segtrain.aspp_dilations),
    }
    return SegmentationObjective(build_deeplab(settings, None), params.segtrain)


NETWORKS: dict[str, Build] = {
    "classifier I": lambda params, size: _classifier(params, "I"),
    "classifier P": lambda params, size: _classifier(params, "P"),
    "boundary branch": lambda params, size: _affinity(params, size, "I"),
    "AffinityNet": lambda params, size: _affinity(params, size, "P"),
    "DeepLabv2": lambda params, size: _deeplab(params),
}
"""Every network that the pipeline trains, with its loss, for photographs of ``size`` = (H, W); new weights."""


def backbone_of(what: str, params: Params) -> str:
    """The backbone of a network in :data:`NETWORKS`."""
    if what == "DeepLabv2":
        return params.segtrain.backbone
    return params.cams.net("P" if what in ("classifier P", "AffinityNet") else "I").backbone


def target_of(what: str, params: Params, size: tuple[int, int]) -> Tensor:
    """Something to learn, for one photograph: its classes, or labels that halve it into background and class 1."""
    if what.startswith("classifier"):
        return multi_hot([1], len(params.dataset.classes) - 1)
    labels = torch.zeros(size, dtype=torch.uint8)
    labels[:, size[1] // 2 :] = 1
    return labels


@dataclass(frozen=True)
class Pass:
    """One forward and backward pass of a network over a whole photograph; picklable.

    Attributes:
        what: a name in :data:`NETWORKS`.
        params: of the project.
        photo: file.
    """

    what: str
    params: Params
    photo: Path

    def __call__(self) -> Callable[[], object]:
        """The call, with the network built."""
        x = to_input(load_photo(self.photo))[None]
        size = (x.shape[2], x.shape[3])
        objective = NETWORKS[self.what](self.params, size)
        target = target_of(self.what, self.params, size)[None]

        def call() -> None:
            objective.zero_grad()
            objective(x, target).backward()

        return call
