"""Training an affinity network on the pairs of confident cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from wsgcn.affinity.net import AffinityNetwork, DisplacementBranch
from wsgcn.affinity.pairs import displacement_loss, pair_loss
from wsgcn.nets.backbone import to_input
from wsgcn.ops.augment import ParameterGroup, jittered, random_view
from wsgcn.ops.batches import batches, step_count
from wsgcn.ops.resize import grid_size
from wsgcn.ops.stencil import half_disc
from wsgcn.ops.training import Step, descend
from wsgcn.runtime import generator_for, progress_bar, seeded

if TYPE_CHECKING:
    from wsgcn.params import AffinityTraining

Item = TypeVar("Item")

DISPLACEMENT_LR_FACTOR = 10
"""How much faster than the boundary branch IRNet's displacement branch learns."""


def train_affinity(
    net: AffinityNetwork,
    items: Mapping[str, Item],
    load: Callable[[Item], tuple[NDArray[np.uint8], NDArray[np.uint8]]],
    params: AffinityTraining,
    grid_stride: int,
    radius: int,
    run_seed: int,
    *,
    label: str,
    section: str,
) -> list[Step]:
    """Minimise :func:`~wsgcn.affinity.pairs.pair_loss` over random views; ``net`` is changed in place.

    A displacement field learns from :func:`~wsgcn.affinity.pairs.displacement_loss` beside it; its mean over the
    photographs is then taken away from it.

    Args:
        net: the network, on the device that trains.
        items: what to load, by image id.
        load: gives the ``(H, W, 3)`` uint8 photograph and the ``(H, W)`` uint8 seeds of an item.
        params: epochs, batch, crop, rates.
        grid_stride: pixels a cell.
        radius: reach of the pairs, in cells.
        run_seed: seed of the run.
        label: name of the training: text of the progress bar, and part of every seed.
        section: of the parameters, for an error.

    Returns:
        Every step, with the learning rate of the heads.

    Raises:
        UsageError: the loss is no longer finite.
    """
    grid = grid_size(params.crop, params.crop, grid_stride)
    offsets = half_disc(radius)

    def sample(item: Item, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rgb_u8, seeds = load(item)
        rgb_u8 = jittered(rgb_u8, params.jitter, generator)
        return random_view(rgb_u8, seeds, params.crop, params.scale, generator)

    def loss_of(samples: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        return _batch_loss(net, samples, grid, _some(offsets, params.offset_share, generator))

    steps = step_count(params.epochs, len(items), params.batch)
    generator = generator_for(run_seed, label, "offsets")
    net.train()
    feed = batches(items, sample, batch=params.batch, steps=steps, run_seed=run_seed, name=label)
    history = []
    with progress_bar(label, steps) as advance, seeded(run_seed, label, "dropout"):
        for step in descend(_groups(net, params), loss_of, feed, params, steps=steps, section=section):
            history.append(step)
            advance()
    net.eval()
    if net.displacement is not None:
        crops = (_top_left(load(item)[0], params.crop) for item in items.values())
        net.displacement.mean.copy_(_mean_field(net, net.displacement, crops, grid))
    return history


def _batch_loss(
    net: AffinityNetwork,
    samples: Sequence[tuple[Tensor, Tensor]],
    grid: tuple[int, int],
    offsets: Sequence[tuple[int, int]],
) -> Tensor:
    """The losses of a list of views with their seeds, over pairs at these offsets."""
    device = next(net.parameters()).device
    x, seeds = (torch.stack(part).to(device) for part in zip(*samples))
    cells = functional.interpolate(seeds[:, None].float(), size=grid, mode="nearest-exact")[:, 0]
    taps = net.taps(x)
    loss = pair_loss(net.affinity_maps(net.node_features(taps, grid)), cells, net.affinity, offsets)
    if net.displacement is not None:
        loss = loss + displacement_loss(net.displacement(taps, grid), cells, offsets)
    return loss


def _top_left(rgb_u8: NDArray[np.uint8], crop: int) -> Tensor:
    """The ``(3, crop, crop)`` top left corner of a photograph, 0 where it ends."""
    x = to_input(rgb_u8[:crop, :crop])
    return functional.pad(x, (0, crop - x.shape[2], 0, crop - x.shape[1]))


@torch.no_grad()
def _mean_field(
    net: AffinityNetwork, displacement: DisplacementBranch, photos: Iterable[Tensor], grid: tuple[int, int]
) -> Tensor:
    """Mean of the displacement field over photographs, ``(2,)``: IRNet's mean shift, over crops as it has them."""
    device = next(net.parameters()).device
    means = [displacement(net.taps(x[None].to(device)), grid).mean(dim=(0, 2, 3)) for x in photos]
    return torch.stack(means).mean(0)


def _some(offsets: list[tuple[int, int]], share: float, generator: torch.Generator) -> list[tuple[int, int]]:
    """A random ``share`` of the offsets, at least one: an estimate of the loss over all at a share of its cost."""
    count = max(1, round(share * len(offsets)))
    return [offsets[position] for position in torch.randperm(len(offsets), generator=generator)[:count].tolist()]


def _groups(net: AffinityNetwork, params: AffinityTraining) -> list[ParameterGroup]:
    groups: list[ParameterGroup] = [{"params": net.heads(), "lr": params.lr}]
    if net.displacement is not None:
        groups.append({"params": list(net.displacement.parameters()), "lr": params.lr * DISPLACEMENT_LR_FACTOR})
    if not net.freeze:
        groups.append({"params": list(net.backbone.parameters()), "lr": params.lr * params.backbone_lr_factor})
    return groups
