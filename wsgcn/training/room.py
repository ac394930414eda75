"""Whether a training has room in the memory, seen before it begins."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from wsgcn.errors import UsageError
from wsgcn.nets.base import Backbone
from wsgcn.runtime.memory import GB, free_memory

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from wsgcn.training.loop import Training

BATCHES = 3
"""Batches of crops that are there at the same time: in the network, stacked, and in the making."""
FLOAT = 4  # bytes
PROBE = 64  # pixels
ENOUGH = 20_000
"""Bytes a pixel that no backbone here needs; ResNet-38 keeps 6,000."""


def require_room(training: Training[Any], fabric: Fabric) -> None:
    """Refuse a batch that cannot be learned from on these devices.

    What is reckoned is the least that a training needs, what its backbone keeps of a batch for the way back: what is
    refused would not fit, while what is not refused may still be too large.

    Raises:
        UsageError: there is less memory than that.
    """
    params, on_gpu = training.params, fabric.device.type == "cuda"
    free = torch.cuda.mem_get_info(fabric.device)[0] if on_gpu else free_memory()
    measured = min(training.check.photographs, len(training.items)) if training.check else 0
    if (params.batch + measured) * params.crop**2 * ENOUGH < free:
        return
    batch = -(-params.batch // fabric.world_size) if on_gpu else params.batch  # on a CPU all share the memory
    backbones = [module for module in training.loss.modules() if isinstance(module, Backbone)]
    needed = max((kept_bytes(one, batch, params.crop) for one in backbones), default=0.0)
    needed /= 1 if fabric.strategy.precision.precision == "32-true" else 2
    needed += 0 if on_gpu else (BATCHES * batch + measured) * 3 * params.crop**2 * FLOAT
    where = str(fabric.device) if on_gpu else "this machine"
    if needed > free:
        raise UsageError(
            f"{training.section}: batch: {params.batch} with crop: {params.crop} needs at least {needed / GB:.1f} GB, "
            f"{where} has {free / GB:.1f} GB free: choose a smaller batch or crop"
        )


def kept_bytes(backbone: Backbone, batch: int, crop: int) -> float:
    """Bytes that a backbone keeps of a batch for the way back, in single precision, reckoned from a small crop's.

    Args:
        backbone: in the mode and with the frozen parameters that it trains with; it stays as it is.
        batch: photographs.
        crop: rows and columns of each, in pixels.
    """
    probe = copy.deepcopy(backbone).cpu()  # batch norms would learn from it
    own = {one.untyped_storage().data_ptr() for one in (*probe.parameters(), *probe.buffers())}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with torch.random.fork_rng(devices=[]), torch.enable_grad(), hooks:
        maps = probe(torch.zeros((1, 3, PROBE, PROBE)))
    del maps  # until here nothing that was kept gave its place to another tensor
    return sum(kept.values()) * batch * (crop / PROBE) ** 2
