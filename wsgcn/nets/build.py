"""Building a backbone by its name."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import cast

from wsgcn.nets.base import Backbone
from wsgcn.nets.published import without_classifier
from wsgcn.runtime.memory import NO_NETWORK, NetworkMemory
from wsgcn.store.checkpoints import fill, read_state


def backbone_class(name: str) -> type[Backbone]:
    """The class of a backbone; its module is imported now, and no other backbone's.

    Raises:
        ValueError: there is no such backbone; the message lists the known ones.
    """
    # By name, since an import statement would make the list of all backbones part of what each result is made of
    # (wsgcn.store.code): a new backbone would then have every network trained again.
    registry = importlib.import_module("wsgcn.nets.registry")
    module, _, attribute = registry.find_backbone(name).place.partition(":")
    return cast("type[Backbone]", getattr(importlib.import_module(module), attribute))


def network_memory(backbone: str | None, largest_scale: float, checkpoint: Path, device: str) -> NetworkMemory:
    """What a network takes of the machine's memory in each process that runs it.

    Args:
        backbone: its name, None where there is no network.
        largest_scale: at which it sees photographs.
        checkpoint: file of its weights, which is there.
        device: its name; an accelerator has a memory of its own.
    """
    if backbone is None or device != "cpu":
        return NO_NETWORK
    return NetworkMemory(checkpoint.stat().st_size, backbone_class(backbone).pixel_bytes * largest_scale**2)


def build_backbone(name: str, output_stride: int, weights: str | None) -> Backbone:
    """A backbone with the weights of a file, or freshly initialised where ``weights`` is None.

    Args:
        name: one of :data:`~wsgcn.nets.registry.BACKBONES`.
        output_stride: pixels a cell of the last map.
        weights: file of parameters by name, as torchvision publishes them or ``wsgcn weights import`` writes them;
            a classifier in it is left out.

    Raises:
        DataError: the weight file is missing, or belongs to another network.
        UsageError: the network does not come with this output stride.
        ValueError: there is no such backbone.
    """
    net = backbone_class(name)(output_stride)
    if weights is not None:
        path = Path(weights)
        fill(net, without_classifier(read_state(path)), f"{path} does not hold weights of {name}")
    return net
