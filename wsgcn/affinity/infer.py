"""A trained affinity network on one photograph: its graph as a stencil, and its node features."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from wsgcn.affinity.net import AffinityNetwork
from wsgcn.affinity.pairs import stencil_weights
from wsgcn.nets.base import on_device
from wsgcn.nets.build import build_backbone
from wsgcn.ops.resize import grid_size
from wsgcn.ops.stencil import half_disc
from wsgcn.store.checkpoints import load_checkpoint
from wsgcn.store.fingerprints import DigestedFile
from wsgcn.store.photos import load_photo
from wsgcn.store.records import Affinity

if TYPE_CHECKING:
    from wsgcn.affinity.learned import LearnedAffinity


def network_name(kind: LearnedAffinity) -> str:
    """What the checkpoints of a kind say they hold."""
    return f"affinity/{kind.kind}"


@lru_cache(maxsize=1)
def load_network(kind: LearnedAffinity, network: DigestedFile, device: str) -> AffinityNetwork:
    """The trained network, loaded once a process.

    Raises:
        DataError: the checkpoint is missing, broken, or another network's.
    """
    net = kind.network(build_backbone(kind.train.backbone, kind.train.output_stride, None), freeze=True)
    load_checkpoint(network.path, network_name(kind), kind.structure(), net)
    return on_device(net, device)


def affinity_of_photo(
    kind: LearnedAffinity, net: AffinityNetwork, photo: Path, device: str, shrunk: tuple[int, int] | None = None
) -> Affinity:
    """Graph and node features of a photograph's file.

    Args:
        kind: stride of the grid, reach of the graph, and how the features are made.
        net: the trained network.
        photo: the file.
        device: where the network is.
        shrunk: rows and columns at which the photograph is seen; None = its own.

    Raises:
        DataError: the photograph is missing or broken.
    """
    x = net.backbone.to_input(load_photo(photo, shrunk)).to(device)
    offsets = half_disc(kind.infer.radius)
    with torch.inference_mode():
        features = kind.features(net, x[None])
        maps = net.affinity_maps(features)
        weights = stencil_weights(maps, net.affinity, offsets)
        boundary = net.boundary(maps)
        nodes = kind.nodes(net, features)[0]
    arrays = [part.cpu().numpy().astype(np.float16) for part in (weights, boundary, nodes)]
    stride = kind.train.stride if kind.infer.whole_cells else 0
    return Affinity(np.array(offsets, dtype=np.int64), arrays[0], arrays[1], arrays[2], np.array(stride))


def one_view_features(net: AffinityNetwork, x: Tensor, stride: int) -> Tensor:
    """``(B, 3, H, W)`` normalised photographs to ``(B, F, h, w)`` features on their grid."""
    return net.node_features(net.taps(x), grid_size(x.shape[2], x.shape[3], stride))


def padded(x: Tensor, multiple: int, least: int = 0) -> Tensor:
    """``(B, 3, H, W)`` with zeros at the right and the bottom, up to a multiple of pixels, and at least so many."""
    bottom, right = (max(least, math.ceil(side / multiple) * multiple) - side for side in x.shape[2:])
    return functional.pad(x, (0, right, 0, bottom))


def padded_features(net: AffinityNetwork, x: Tensor, stride: int, pad_to: int) -> Tensor:
    """Mean features of a photograph and of its mirror image, each padded to a square with zeros and cropped again.

    The boundary's logits are linear in the features, so that theirs are averaged too.

    Args:
        net: a boundary branch.
        x: ``(B, 3, H, W)`` normalised photographs.
        stride: pixels a cell of the grid.
        pad_to: pixels, side of the square; a longer side is padded to the next multiple of 16.

    Source: IRNet's ``EdgeDisplacement``, which takes photographs of up to 512 pixels.
    """
    rows, columns = grid_size(x.shape[2], x.shape[3], stride)

    def of(view: Tensor) -> Tensor:
        return one_view_features(net, padded(view, 16, pad_to), stride)[..., :rows, :columns]

    return (of(x) + of(x.flip(-1)).flip(-1)) / 2
