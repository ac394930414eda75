"""Training an affinity network on the pairs of confident cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from wsgcn.affinity.net import AffinityNetwork, DisplacementBranch
from wsgcn.affinity.pairs import GROUP_SHARES, displacement_loss, pair_counts, pair_loss
from wsgcn.affinity.seeds import cell_labels
from wsgcn.ops.resize import grid_size, to_class_ids
from wsgcn.ops.stencil import half_disc
from wsgcn.runtime.seeds import generator_for
from wsgcn.sections import step_count
from wsgcn.store.records import SeedScores
from wsgcn.training.augment import ToInput, jittered, random_view
from wsgcn.training.check import Measured, mean_recall
from wsgcn.training.descent import TrainingLoss
from wsgcn.training.loop import Trained, Training, train
from wsgcn.training.optimiser import ParameterGroup

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from wsgcn.affinity.learned import AffinityTraining

Item = TypeVar("Item")
Load = Callable[[Item], tuple[NDArray[np.uint8], NDArray[np.uint8] | SeedScores]]

DISPLACEMENT_LR_FACTOR = 10
"""How much faster than the boundary branch IRNet's displacement branch learns."""


class AffinityLoss(TrainingLoss):
    """An affinity network with :func:`~wsgcn.affinity.pairs.pair_loss` over random pairs.

    A displacement field learns from :func:`~wsgcn.affinity.pairs.displacement_loss` beside it.
    """

    def __init__(
        self,
        net: AffinityNetwork,
        params: AffinityTraining,
        grid: tuple[int, int],
        offsets: list[tuple[int, int]],
        seed_names: tuple[int, str, str],
    ):
        super().__init__()
        self.net = net.train()
        self.params, self.grid, self.offsets, self.seed_names = params, grid, offsets, seed_names
        self.measured_offsets = self._draw("check")
        self.begin(0)

    def groups(self) -> list[ParameterGroup]:
        """The boundary or feature heads, the displacement branch, and the backbone where it learns."""
        lr, net = self.params.lr, self.net
        groups: list[ParameterGroup] = [{"params": net.heads(), "lr": lr}]
        if net.displacement is not None:
            groups.append({"params": list(net.displacement.parameters()), "lr": lr * DISPLACEMENT_LR_FACTOR})
        if not net.freeze:
            groups.append({"params": list(net.backbone.parameters()), "lr": lr * self.params.backbone_lr_factor})
        return groups

    def begin(self, update: int) -> None:
        """Draw the offsets of this update, alike in every process."""
        self.drawn = self._draw(str(update))

    def _draw(self, name: str) -> list[tuple[int, int]]:
        run_seed, *names = self.seed_names
        return _some(self.offsets, self.params.offset_share, generator_for(run_seed, *names, name))

    def forward(self, x: Tensor, seeds: Tensor) -> Tensor:
        """Loss of ``(B, 3, crop, crop)`` crops with uint8 seeds of pixels or cells, over the update's offsets."""
        cells, taps = self._cells(seeds), self.net.taps(x)
        maps = self.net.affinity_maps(self.net.node_features(taps, self.grid))
        loss = pair_loss(maps, cells, self.net.affinity, self.drawn)
        if self.net.displacement is not None:
            loss = loss + displacement_loss(self.net.displacement(taps, self.grid).float(), cells, self.drawn)
        return loss

    def counts(self, batch: Sequence[Tensor]) -> Tensor:
        """:func:`~wsgcn.affinity.pairs.pair_counts` over as many offsets as an update has, always the same."""
        x, seeds = batch
        maps = self.net.affinity_maps(self.net.node_features(self.net.taps(x), self.grid))
        return pair_counts(maps, self._cells(seeds), self.net.affinity, self.measured_offsets)

    def measured(self, counts: Tensor) -> Measured:
        """The loss of the pairs, and the mean share of right affinities between equal and between different labels."""
        number, costs, _ = counts.T
        loss = (costs / number.clamp(min=1) * number.new_tensor(GROUP_SHARES)).sum()
        alike, different = counts[:2].sum(0), counts[2]
        pairs = torch.stack([alike, different])
        return Measured(float(loss), mean_recall(pairs[:, 2], pairs[:, 0]), chance=0.5)

    def _cells(self, seeds: Tensor) -> Tensor:
        return functional.interpolate(seeds[:, None].float(), size=self.grid, mode="nearest-exact")[:, 0]


@dataclass(frozen=True)
class AffinitySample(Generic[Item]):
    """Makes a random crop of a photograph, ``(3, crop, crop)``, and of its seeds, ``(crop, crop)``.

    Of scores the seeds are the labels of the crop's cells, ``(h, w)``.
    """

    load: Load[Item]
    params: AffinityTraining
    to_input: ToInput

    def __call__(self, item: Item, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The crop that the generator draws."""
        rgb_u8, seeds = self.load(item)
        params = self.params
        rgb_u8 = jittered(rgb_u8, params.jitter, generator)
        view = random_view((rgb_u8.shape[0], rgb_u8.shape[1]), params.crop, params.scale, generator)
        crop = view.photo(rgb_u8, self.to_input, params.interpolation, params.border)
        if not isinstance(seeds, SeedScores):
            return crop, view.labels(seeds)
        positions = cell_labels(view.maps(seeds.low), view.maps(seeds.high), params.stride)
        return crop, torch.from_numpy(to_class_ids(positions, seeds.class_ids))


def train_affinity(
    net: AffinityNetwork,
    items: Mapping[str, Item],
    load: Load[Item],
    params: AffinityTraining,
    run_seed: int,
    fabric: Fabric,
    *,
    name: str,
    label: str,
    section: str,
    unfinished: Path,
) -> Trained:
    """Minimise :class:`AffinityLoss` over random crops; ``net`` is changed in place.

    The mean of a displacement field over the photographs is then taken away from it.

    Args:
        net: the network.
        items: what to load, by image id.
        load: gives the ``(H, W, 3)`` uint8 photograph and the seeds of an item, ``(H, W)`` uint8 or scores;
            picklable, for several devices.
        params: steps, batch, crop, rates, reach of the pairs.
        run_seed: seed of the run.
        fabric: the devices that train.
        name: of the training, part of every seed.
        label: text before the progress bar.
        section: of the parameters, for an error.
        unfinished: file in which the training is kept while it goes on.

    Returns:
        Every update, with the learning rate of the heads, and what was measured.

    Raises:
        UsageError: the loss is no longer finite, or the memory of a device is too small.
    """
    grid = grid_size(params.crop, params.crop, params.stride)
    training = Training(
        loss=AffinityLoss(net, params, grid, half_disc(params.radius), (run_seed, name, "offsets")),
        items=items,
        sample=AffinitySample(load, params, net.backbone.to_input),
        params=params,
        steps=step_count(params.steps, len(items), params.batch),
        run_seed=run_seed,
        name=name,
        label=label,
        section=section,
        unfinished=unfinished,
        check=params.check,
    )
    trained = train(training, fabric)
    if net.displacement is not None:
        crops = (_top_left(load(item)[0], params.crop, net.backbone.to_input) for item in items.values())
        net.displacement.mean.copy_(_mean_field(net, net.displacement, crops, grid))
    return trained


def _top_left(rgb_u8: NDArray[np.uint8], crop: int, to_input: ToInput) -> Tensor:
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
