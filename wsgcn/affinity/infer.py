"""A trained affinity network on one photograph: its graph as a stencil, and its node features."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

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


def affinity_of_photo(net: AffinityNetwork, photo: Path, stride: int, radius: int, device: str) -> Affinity:
    """Graph and node features of a photograph's file.

    Args:
        net: the trained network.
        photo: the file.
        stride: pixels a cell of the grid.
        radius: reach of the graph, in cells.
        device: where the network is.

    Raises:
        DataError: the photograph is missing or broken.
    """
    x = net.backbone.to_input(load_photo(photo)).to(device)
    offsets = half_disc(radius)
    grid = grid_size(x.shape[1], x.shape[2], stride)
    with torch.inference_mode():
        features = net.node_features(net.taps(x[None]), grid)
        maps = net.affinity_maps(features)
        weights = stencil_weights(maps, net.affinity, offsets)
        boundary = net.boundary(maps)
    arrays = (part.cpu().numpy().astype(np.float16) for part in (weights, boundary, features[0]))
    return Affinity(np.array(offsets, dtype=np.int64), *arrays)
