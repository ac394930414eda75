"""What each stage would take on many photographs and several machines, reckoned from a few that are measured here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from wsgcn.bench.measure import Cost, Prepare, measure
from wsgcn.bench.networks import EntryNetwork, entry_networks
from wsgcn.bench.run import TRAINING_PHOTOGRAPHS
from wsgcn.bench.stages import PER_IMAGE, Photographs, Seeds
from wsgcn.bench.trainings import UPDATES, ShortTraining
from wsgcn.errors import DataError, UsageError
from wsgcn.runtime.devices import pick_device
from wsgcn.sections import step_count
from wsgcn.store.index import Index, load_index
from wsgcn.store.paths import Artifacts

if TYPE_CHECKING:
    from wsgcn.methods import Method
    from wsgcn.params import Params

READS = {"cams": (), "affinity": (), "seeds": ("cams",), "propagate": ("cams", "affinity"), "crf": ("propagate",)}
"""The per-image files that each per-image stage reads, beside the photograph."""
ORDER = ("cams-train", "cams", "seeds", "affinity-train", "affinity", "propagate", "crf", "segtrain")
CORES, NETWORK, ONE_MACHINE = "cores", "the network to the folder", "one machine: an update waits for the one before"
"""What bounds a stage: more of the first, or a faster one of the others, make it faster."""
NETWORK_MB_S = 1250
"""What a network of 10 Gbit/s carries to and from the folder that several machines share, MB of 10^6 bytes a second."""
CALLS = 2
"""Of a per-image stage; the first one imports and reads the code."""


class Machines(NamedTuple):
    """So many machines with so many cores each."""

    number: int
    cores: int


def parse_machines(text: str) -> Machines:
    """Read ``8x16``.

    Raises:
        UsageError: it is something else.
    """
    found = re.fullmatch(r"([1-9]\d{0,5})x([1-9]\d{0,5})", text, re.ASCII)
    if not found:
        raise UsageError(f"--machines {text}: give machines and cores of each, such as 8x16")
    return Machines(int(found[1]), int(found[2]))


@dataclass(frozen=True)
class Planned:
    """What a stage would take.

    Attributes:
        stage: its word; ``seeds`` are the per-image part of ``affinity-train``.
        each: seconds of a photograph on one core, or of an update.
        pieces: photographs or updates.
        seconds: of the stage.
        disk_mb: what it leaves, MB of 10^6 bytes.
        memory_mb: of a machine.
        folder_mb_s: what it reads and writes a second in the folder that the machines share; None where that is little.
        bound: what it waits for.
    """

    stage: str
    each: float
    pieces: int
    seconds: float
    disk_mb: float
    memory_mb: float
    folder_mb_s: float | None
    bound: str


def plan_stages(
    params: Params, method: Method, photographs: int, machines: Machines, sample: int
) -> list[Callable[[], Planned]]:
    """What is to be measured and reckoned, one call a stage.

    Args:
        params: of the project here, which has been run up to ``crf``.
        method: whose stages.
        photographs: of the training split of the large project, like those here.
        machines: that share the per-image stages; each training is on one, with the threads that PyTorch has here.
        sample: photographs to measure.

    Raises:
        DataError: the project has no index, or lacks files of a stage.
    """
    index = load_index(Artifacts().index)
    variant, networks = method.variant, entry_networks(params)
    entries = {
        "cams-train": f"cams.{variant.cams_name}",
        "affinity-train": f"affinity.{variant.affinity_name}",
        "segtrain": f"segtrain.{method.segtrain_name}",
    }
    work: dict[str, Callable[[], Planned]] = {}
    for stage, entry in entries.items():
        if entry in networks and getattr(networks[entry].params, "trained", None) is None:
            work[stage] = partial(_training, params, index, stage, entry, networks[entry], photographs)
    stages: dict[str, Prepare] = {one: Photographs(params, method, sample, 1, (one,)) for one in PER_IMAGE}
    if "affinity-train" in work:
        stages["seeds"] = Seeds(params, method, sample)
    for stage, prepare in stages.items():
        sizes = _file_sizes(params, method, index, stage)
        work[stage] = partial(_per_image, params, stage, prepare, sizes, photographs, machines, sample)
    return [work[stage] for stage in ORDER if stage in work]


class _Sizes(NamedTuple):
    """Mean bytes that a stage reads and writes of a photograph."""

    read: float
    written: float


def _per_image(
    params: Params, stage: str, prepare: Prepare, sizes: _Sizes, photographs: int, machines: Machines, sample: int
) -> Planned:
    cost = measure(prepare, CALLS, advice="choose fewer --photographs")
    each = _seconds(params, cost, threads=1) / sample
    computing = photographs * each / min(machines.number * machines.cores, photographs)
    moved_mb = photographs * sum(sizes) / 1e6
    moving = moved_mb / NETWORK_MB_S if machines.number > 1 else 0.0
    seconds = max(computing, moving)
    return Planned(
        stage=stage,
        each=each,
        pieces=photographs,
        seconds=seconds,
        disk_mb=photographs * sizes.written / 1e6,
        memory_mb=machines.cores * cost.peak_mb,
        folder_mb_s=moved_mb / seconds,
        bound=CORES if computing >= moving else NETWORK,
    )


def _training(params: Params, index: Index, stage: str, entry: str, network: EntryNetwork, photographs: int) -> Planned:
    photos = tuple(map(index.photo_path, index.split(params.dataset.train_split)[:TRAINING_PHOTOGRAPHS]))
    threads, numbers = torch.get_num_threads(), network.params
    short = ShortTraining(entry, network, photos, params.runtime)
    cost = measure(short.updates, 1, threads, advice="choose a smaller batch or crop")
    each = _seconds(params, cost, threads) / UPDATES * getattr(numbers, "accumulate", 1)
    updates = step_count(numbers.steps, photographs, numbers.batch)
    return Planned(stage, each, updates, updates * each, 0, cost.peak_mb, None, ONE_MACHINE)


def _seconds(params: Params, cost: Cost, threads: int) -> float:
    """Of a core rather than of a clock, so that other programs do not count; a GPU's work no core counts."""
    on_cpu = pick_device(params.runtime.device).type == "cpu"
    return min(cost.seconds, cost.processor_seconds / threads) if on_cpu else cost.seconds


def _file_sizes(params: Params, method: Method, index: Index, stage: str) -> _Sizes:
    photos = [index.photo_path(image) for image in index.split(params.dataset.train_split)]
    read = sum(_mean_bytes(_files(method, one)) for one in READS[stage])
    return _Sizes(_mean_bytes(photos) + read, _mean_bytes(_files(method, stage)))


def _files(method: Method, stage: str) -> list[Path]:
    """The files that a stage of the project here has made."""
    artifacts, variant = Artifacts(), method.variant.name
    if stage == "seeds":
        folder = artifacts.folder("affinity-train", variant) / "seeds"
    else:
        folder = artifacts.folder(stage, variant if stage in ("cams", "affinity") else method.name)
    found = [*folder.iterdir()] if folder.is_dir() else []
    if not found:
        raise DataError(f"{folder} is missing or empty: run `dvc repro crf@{method.name}` on some photographs first")
    return found


def _mean_bytes(files: Sequence[Path]) -> float:
    return sum(one.stat().st_size for one in files) / len(files)


def totals(planned: Iterable[Planned]) -> dict[str, Any]:
    """Seconds and MB of all stages, one after the other."""
    rows = [*planned]
    return {"seconds": sum(one.seconds for one in rows), "disk_mb": sum(one.disk_mb for one in rows)}
