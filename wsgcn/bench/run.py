"""Everything that ``wsgcn bench`` measures, as rows of a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from wsgcn.bench.dense import GCN_STEPS, DenseGcn, DenseWalk
from wsgcn.bench.inputs import Case
from wsgcn.bench.kernels import KERNELS, Kernel, kernels_to_time
from wsgcn.bench.measure import Cost, Prepare, bandwidth, measure
from wsgcn.bench.networks import EntryNetwork, Pass, entry_networks
from wsgcn.bench.numbers import KernelNumbers, given, kernel_numbers
from wsgcn.bench.stages import Photographs
from wsgcn.bench.trainings import UPDATES, ShortTraining
from wsgcn.runtime.cores import core_count
from wsgcn.store.index import load_index
from wsgcn.store.paths import Artifacts
from wsgcn.store.photos import photo_size

if TYPE_CHECKING:
    from wsgcn.methods import Method
    from wsgcn.params import Params

TRAINING_PHOTOGRAPHS = 64
"""Photographs that the batches of ``--trainings`` are made of."""


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        what: kernel, stages of a method, or a network by its entry and backbone.
        size: grid, photographs and workers, or the photograph's pixels.
        seconds: an image, of the fastest call.
        images_per_second: of all workers together.
        peak_mb: highest resident memory of the process (of the largest worker), MB of 10^6 bytes.
        own_mb: the same without what the process had before it made its inputs.
        bandwidth_share: least traffic of the call, over its time, over what one thread can copy; None where computing
            is the limit.
        against_seconds: of the same work with N × N matrices, an image; None where it was not asked for.
        ratio: against_seconds / seconds.
        update_seconds: of a training: one update, with its batch made beside the one before.
        forward_seconds: of it, the forward pass.
        backward_seconds: of it, the backward pass.
        loading_seconds: of one core, to make the batch.
    """

    what: str
    size: str
    seconds: float
    images_per_second: float
    peak_mb: float
    own_mb: float
    bandwidth_share: float | None = None
    against_seconds: float | None = None
    update_seconds: float | None = None
    forward_seconds: float | None = None
    backward_seconds: float | None = None
    loading_seconds: float | None = None

    @property
    def ratio(self) -> float | None:
        """How many times faster than with N × N matrices."""
        return None if self.against_seconds is None else self.against_seconds / self.seconds

    def as_json(self) -> dict[str, Any]:
        """The row by name."""
        return asdict(self) | {"ratio": self.ratio}


def plan(
    params: Params,
    cases: Sequence[Case],
    repeats: int,
    dense: bool,
    photographs: int,
    method: Method,
    photo: Path | None = None,
    trainings: bool = False,
) -> list[Callable[[], Row]]:
    """What is to be measured, one call a row.

    Args:
        params: of the project.
        cases: sizes of the made-up photograph; every kernel whose numbers the project has is timed at each, on one
            thread.
        repeats: calls of each kernel; the fastest counts.
        dense: also time the walk and the GCN with N × N matrices, right after the fast ones.
        photographs: so many of the project's training split go through ``propagate`` and ``crf``, with one worker and
            with one a core; 0 = none.
        method: whose propagation and CRF these are, and whose numbers the kernels take before another method's.
        photo: file of a photograph that goes forward and backward through every network, once; None = none does.
        trainings: also train every network for a few updates, with photographs of the project.

    Raises:
        DataError: ``photo`` cannot be read, or the project has no index yet.
    """
    numbers, roof = kernel_numbers(params, method), bandwidth() if cases else 0.0
    work: list[Callable[[], Row]] = [
        partial(_kernel_row, what, case, numbers, repeats, dense, roof)
        for case in cases
        for what in kernels_to_time(numbers)
    ]
    if photographs:
        work += [partial(_stage_row, params, method, photographs, workers) for workers in sorted({1, core_count()})]
    if photo is not None:
        height, width = photo_size(photo)
        size = f"{height} x {width} pixels"
        work += [partial(_network_row, name, network, photo, size) for name, network in entry_networks(params).items()]
    if trainings:
        index = load_index(Artifacts().index)
        photos = tuple(map(index.photo_path, index.split(params.dataset.train_split)[:TRAINING_PHOTOGRAPHS]))
        short = [ShortTraining(*named, photos, params.runtime) for named in entry_networks(params).items()]
        work += [partial(_training_row, one, repeats) for one in short]
    return work


def _training_row(training: ShortTraining, repeats: int) -> Row:
    params, threads = training.network.params, torch.get_num_threads()

    def cost(prepare: Prepare) -> Cost:
        return measure(prepare, repeats, threads, advice="choose a smaller batch or crop")

    forward, passes = cost(training.forward).seconds, cost(training.passes).seconds
    updates, loading = cost(training.updates), cost(training.loading).seconds
    times = f"{threads} thread{'s' if threads > 1 else ''}"
    size = f"{params.batch} x {params.crop} x {params.crop}, {times}"
    return replace(
        _row(f"{training.name}, {params.backbone}", size, updates, UPDATES * params.batch),
        update_seconds=updates.seconds / UPDATES,
        forward_seconds=forward,
        backward_seconds=passes - forward,
        loading_seconds=loading,
    )


def _network_row(name: str, network: EntryNetwork, photo: Path, size: str) -> Row:
    cost = measure(Pass(network, photo), 1, advice="choose a smaller photograph")
    return _row(f"{name}, {network.params.backbone}", size, cost, 1)


def _kernel_row(what: str, case: Case, numbers: KernelNumbers, repeats: int, dense: bool, roof: float) -> Row:
    cost, recipe = measure(Kernel(what, case, numbers), repeats), KERNELS[what]
    share = None if recipe.traffic is None else recipe.traffic(case, numbers) / cost.seconds / roof
    return _row(what, case.name, cost, recipe.images, share, _dense_seconds(what, case, numbers) if dense else None)


def _dense_seconds(what: str, case: Case, numbers: KernelNumbers) -> float | None:
    """Seconds with N × N matrices; all squarings are alike, and all steps, so a few are timed and multiplied."""
    if what == "random-walk":
        return given(numbers.walk).log2_steps * measure(DenseWalk(case, numbers), 1).seconds
    if what == "gcn":
        return given(numbers.gcn).steps / GCN_STEPS * measure(DenseGcn(case, numbers), 1).seconds
    return None


def _stage_row(params: Params, method: Method, photographs: int, workers: int) -> Row:
    cost = measure(Photographs(params, method, photographs, workers), 1, family=workers > 1)
    return _row(f"{method.name} propagate + crf", f"{photographs} photographs, {workers} workers", cost, photographs)


def _row(
    what: str, size: str, cost: Cost, images: int, share: float | None = None, against: float | None = None
) -> Row:
    seconds = cost.seconds / images
    return Row(what, size, seconds, 1 / seconds, cost.peak_mb, cost.peak_mb - cost.base_mb, share, against)
