"""Everything that ``wsgcn bench`` measures, as rows of a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from wsgcn.bench.dense import GCN_STEPS, DenseGcn, DenseWalk
from wsgcn.bench.inputs import Case
from wsgcn.bench.kernels import KERNELS, Kernel
from wsgcn.bench.measure import Cost, bandwidth, measure
from wsgcn.bench.networks import NETWORKS, Pass, backbone_of
from wsgcn.bench.stages import Photographs
from wsgcn.runtime.devices import core_count
from wsgcn.store.photos import photo_size
from wsgcn.vocabulary import Method

if TYPE_CHECKING:
    from wsgcn.params import Params


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        what: kernel, or stages of a method.
        size: grid, or photographs and workers.
        seconds: an image, of the fastest call.
        images_per_second: of all workers together.
        peak_mb: highest resident memory of the process (of the largest worker), MB of 10^6 bytes.
        own_mb: the same without what the process had before it made its inputs.
        bandwidth_share: least traffic of the call, over its time, over what one thread can copy; None where computing
            is the limit.
        against_seconds: of the dense twin, an image; None where it was not asked for.
        ratio: against_seconds / seconds.
    """

    what: str
    size: str
    seconds: float
    images_per_second: float
    peak_mb: float
    own_mb: float
    bandwidth_share: float | None = None
    against_seconds: float | None = None

    @property
    def ratio(self) -> float | None:
        """How many times faster than the dense twin."""
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
) -> list[Callable[[], Row]]:
    """What is to be measured, one call a row.

    Args:
        params: numbers of the pipeline.
        cases: sizes of the made-up photograph; every kernel is timed at each, on one thread.
        repeats: calls of each kernel; the fastest counts.
        dense: time the dense twins of the walk and of the GCN too, right after the fast ones.
        photographs: so many of the project's training split go through ``propagate`` and ``crf``, with one worker and
            with one a core; 0 = none.
        method: whose.
        photo: file of a photograph that goes forward and backward through every network, once; None = none does.

    Raises:
        DataError: ``photo`` cannot be read.
    """
    roof = bandwidth()
    kernels = [what for what, recipe in KERNELS.items() if torch.cuda.is_available() or not recipe.gpu]
    work: list[Callable[[], Row]] = [
        partial(_kernel_row, what, case, params, repeats, dense, roof) for case in cases for what in kernels
    ]
    if photographs:
        work += [partial(_stage_row, params, method, photographs, workers) for workers in sorted({1, core_count()})]
    if photo is not None:
        height, width = photo_size(photo)
        work += [partial(_network_row, what, params, photo, f"{height} x {width} pixels") for what in NETWORKS]
    return work


def _network_row(what: str, params: Params, photo: Path, size: str) -> Row:
    cost = measure(Pass(what, params, photo), 1, advice="choose a smaller photograph")
    return _row(f"{what}, {backbone_of(what, params)}", size, cost, 1)


def _kernel_row(what: str, case: Case, params: Params, repeats: int, dense: bool, roof: float) -> Row:
    cost, recipe = measure(Kernel(what, case, params), repeats), KERNELS[what]
    share = None if recipe.traffic is None else recipe.traffic(case, params) / cost.seconds / roof
    return _row(what, case.name, cost, recipe.images, share, _dense_seconds(what, case, params) if dense else None)


def _dense_seconds(what: str, case: Case, params: Params) -> float | None:
    """Seconds of the dense twin; its squarings and its steps are all alike, so a few are timed and multiplied."""
    if what == "random-walk":
        return params.propagate.random_walk.I.log2_steps * measure(DenseWalk(case, params), 1).seconds
    if what == "gcn":
        return params.propagate.steps / GCN_STEPS * measure(DenseGcn(case, params), 1).seconds
    return None


def _stage_row(params: Params, method: Method, photographs: int, workers: int) -> Row:
    cost = measure(Photographs(params, method.name, photographs, workers), 1, family=workers > 1)
    return _row(f"{method.name} propagate + crf", f"{photographs} photographs, {workers} workers", cost, photographs)


def _row(
    what: str, size: str, cost: Cost, images: int, share: float | None = None, against: float | None = None
) -> Row:
    seconds = cost.seconds / images
    return Row(what, size, seconds, 1 / seconds, cost.peak_mb, cost.peak_mb - cost.base_mb, share, against)
