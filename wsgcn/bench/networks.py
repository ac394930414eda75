"""The networks that a project trains, on one photograph: what one forward and backward pass costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from wsgcn.affinity.fit import AffinityLoss
from wsgcn.affinity.learned import LearnedAffinity
from wsgcn.cams.album import Album
from wsgcn.cams.grouped import GroupedCams
from wsgcn.cams.learned import LearnedCams
from wsgcn.cams.sub_category import SubCategory
from wsgcn.nets.base import freeze_stages
from wsgcn.nets.build import backbone_class, build_backbone
from wsgcn.nets.deeplab import build_deeplab
from wsgcn.ops.resize import grid_size
from wsgcn.ops.stencil import half_disc
from wsgcn.segtrain.base import SegmentationTraining
from wsgcn.segtrain.deeplab import DeepLab
from wsgcn.segtrain.self_supervised import SelfSupervised
from wsgcn.segtrain.stage import network_structure
from wsgcn.store.photos import load_photo
from wsgcn.training.descent import TrainingLoss
from wsgcn.training.tags import multi_hot

if TYPE_CHECKING:
    from wsgcn.params import Params
    from wsgcn.sections import NetworkTraining

ImageSize = tuple[int, int]
"""Rows and columns (H, W) of a photograph, in pixels."""


@dataclass(frozen=True)
class EntryNetwork:
    """The network that one entry of ``params.yaml`` trains.

    Attributes:
        params: of its training.
        build: makes it anew, with new weights and the loss of its training, for photographs of one size.
        target: what its loss takes beside a photograph of this size, made up: one tensor after the other.
    """

    params: NetworkTraining
    build: Callable[[ImageSize], TrainingLoss]
    target: Callable[[ImageSize], tuple[Tensor, ...]]


def entry_networks(params: Params) -> dict[str, EntryNetwork]:
    """Every network that the project's entries train, by the entry's place in ``params.yaml``, such as ``cams.irnet``.

    Entries of a kind that trains nothing have none.
    """
    classes = len(params.dataset.classes)
    found = {
        f"cams.{name}": EntryNetwork(entry.train, partial(_cams, entry, classes), partial(_shown, classes, entry))
        for name, entry in params.cams.items()
        if isinstance(entry, LearnedCams)
    }
    found |= {
        f"affinity.{name}": EntryNetwork(
            entry.train, partial(_affinity, entry, (params.runtime.seed, "bench", name)), _two_halves
        )
        for name, entry in params.affinity.items()
        if isinstance(entry, LearnedAffinity)
    }
    return found | {
        f"segtrain.{name}": EntryNetwork(entry, partial(_deeplab, entry, classes), partial(_known, classes, entry))
        for name, entry in params.segtrain.items()
    }


def _cams(source: LearnedCams, classes: int, size: ImageSize) -> TrainingLoss:
    net = source.network(classes, pretrained=False)
    freeze_stages(net.backbone, source.train.frozen_stages)
    return source.loss(net)


def _affinity(kind: LearnedAffinity, seed_names: tuple[int, str, str], size: ImageSize) -> TrainingLoss:
    params = kind.train
    backbone = build_backbone(params.backbone, params.output_stride, None)
    net = kind.network(backbone, freeze=params.backbone_lr_factor == 0)
    freeze_stages(backbone, params.frozen_stages)
    return AffinityLoss(net, params, grid_size(*size, params.stride), half_disc(params.radius), seed_names)


def _deeplab(params: SegmentationTraining, classes: int, size: ImageSize) -> TrainingLoss:
    network = build_deeplab(network_structure(params, classes), None)
    freeze_stages(network.backbone, params.frozen_stages)
    return params.objective(network)


def _shown(classes: int, source: LearnedCams, size: ImageSize) -> tuple[Tensor, ...]:
    """That a photograph shows class 1, and what else the samples of a CAM source hold."""
    shown = multi_hot([1], classes - 1)
    if isinstance(source, SubCategory):
        return shown, multi_hot([1], (classes - 1) * source.train.clusters)
    if isinstance(source, GroupedCams):
        others = source.others(Album.of({"a": (1,)}), "a", (1,), torch.Generator())
        return shown, *(part for _ in others for part in (torch.zeros(3, *size), shown))
    return (shown,)


def _known(classes: int, training: SegmentationTraining, size: ImageSize) -> tuple[Tensor, ...]:
    """What the samples of a segmentation training hold beside the photograph."""
    shown = multi_hot([1], classes - 1)
    if isinstance(training, SelfSupervised):
        return (shown,)
    return _two_halves(size) if isinstance(training, DeepLab) else (*_two_halves(size), torch.ones(size) > 0, shown)


def _two_halves(size: ImageSize) -> tuple[Tensor]:
    """Labels that halve a photograph into background and class 1."""
    # By NumPy, since samples are made in threads, see `batches`.
    labels = np.zeros(size, np.uint8)
    labels[:, size[1] // 2 :] = 1
    return (torch.from_numpy(labels),)


@dataclass(frozen=True)
class Pass:
    """One forward and backward pass of a network over a whole photograph; picklable.

    Attributes:
        network: what passes.
        photo: file.
    """

    network: EntryNetwork
    photo: Path

    def __call__(self) -> Callable[[], object]:
        """The call, with the network built."""
        x = backbone_class(self.network.params.backbone).to_input(load_photo(self.photo))[None]
        size = (x.shape[2], x.shape[3])
        loss, target = self.network.build(size), [part[None] for part in self.network.target(size)]

        def call() -> None:
            loss.zero_grad()
            loss(x, *target).backward()

        return call
