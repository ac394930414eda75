"""How work is done: device, seeds, worker processes, progress on the screen."""

from __future__ import annotations

import hashlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from typing import Protocol, TypeVar

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from wsgcn.artifacts import Artifacts, remove_others, write_summary
from wsgcn.errors import StageError, UsageError, WsgcnError


def pick_device(name: str) -> torch.device:
    """The device called ``auto``, ``cpu``, ``cuda`` or ``cuda:<n>``; ``auto`` takes CUDA where there is one.

    Raises:
        UsageError: the name is unknown, or the device is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cpu":
        return torch.device("cpu")
    if name != "cuda" and not (name.startswith("cuda:") and name[5:].isdigit()):
        raise UsageError(f"runtime.device is {name!r}: use auto, cpu, cuda or cuda:<number>")
    device = torch.device(name)
    if (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"runtime.device is {name!r}, but there are {torch.cuda.device_count()} CUDA devices: use cpu")
    return device


def seed_for(run_seed: int, *names: str) -> int:
    """A seed in [0, 2^63) that depends on the run's seed and on names (an image id) and on nothing else."""
    text = "\0".join([str(run_seed), *names])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator_for(run_seed: int, *names: str) -> torch.Generator:
    """A CPU generator seeded by :func:`seed_for`."""
    return torch.Generator().manual_seed(seed_for(run_seed, *names))


@contextmanager
def seeded(run_seed: int, *names: str) -> Iterator[None]:
    """Seed torch's global generators, which new weights and dropout draw from, by :func:`seed_for` inside the block."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(run_seed, *names))
        yield


def core_count() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1  # macOS lacks it


def worker_count(workers: int) -> int:
    """The number of worker processes: ``workers``, or one a core where it is 0."""
    return workers if workers > 0 else core_count()


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch use this many threads inside the block, and as many as before after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def progress_bar(label: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a bar with the remaining time on the error stream; the value is called once for each finished piece."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=total == 0) as progress:
        task = progress.add_task(label, total=total)
        yield lambda: progress.advance(task)


class HasId(Protocol):
    """Anything with an image id, such as an :class:`~wsgcn.artifacts.ImageRecord`."""

    @property
    def id(self) -> str: ...  # noqa: D102


Image = TypeVar("Image", bound=HasId)
LogMetrics = Callable[[Mapping[str, float], int], None]
"""Called with metrics by name and a step, for live curves."""


def map_images(
    work: Callable[[Image], bool],
    images: Sequence[Image],
    *,
    stage: str,
    label: str,
    workers: int,
    finished: Callable[[str], None] | None = None,
    groups: Sequence[Sequence[Image]] | None = None,
) -> dict[str, float]:
    """Do ``work(image)`` for each image, in worker processes of one thread each.

    An image that raises :class:`WsgcnError` is noted and the others go on. Results must not depend on the order.

    Args:
        work: a picklable function that loads, computes and saves one image; False says that it was there already.
        images: the images of the stage.
        stage: word of the stage, for the error.
        label: text before the progress bar.
        workers: number of processes; 1 works in this process, 0 takes one a core.
        finished: called in this process with the id of each image that succeeded.
        groups: the same images, those that ``work.together(images)`` does at once in one list; it gives for each what
            ``work`` would give, or the error. None = each image alone.

    Returns:
        Seconds by image id, of the images that were made.

    Raises:
        StageError: some images failed.
        UsageError: a worker process was killed.
    """
    seconds: dict[str, float] = {}
    failures: dict[str, str] = {}
    groups = groups or [[image] for image in images]
    outcomes = _outcomes(work, groups, min(worker_count(workers), len(groups)))
    with progress_bar(label, len(images)) as advance, closing(outcomes):
        for image_id, outcome in outcomes:
            if isinstance(outcome, WsgcnError):
                failures[image_id] = str(outcome)
            else:
                if outcome is not None:
                    seconds[image_id] = outcome
                if finished is not None:
                    finished(image_id)
            advance()
    if failures:
        raise StageError(stage, failures, len(images))
    return seconds


def make_files(
    work: Callable[[Image], bool],
    images: Sequence[Image],
    *,
    artifacts: Artifacts,
    stage: str,
    name: str,
    suffix: str,
    workers: int,
    finished: Callable[[str], None] | None = None,
    groups: Sequence[Sequence[Image]] | None = None,
) -> None:
    """A per-image stage as a whole: leftovers go, missing files are made, the summary says how long an image took.

    Args:
        work: as of :func:`map_images`; makes ``<id><suffix>`` in the stage's folder.
        images: the images of the stage.
        artifacts: where files lie.
        stage: word of the stage.
        name: its variant or method.
        suffix: of each image's file, with the dot.
        workers: as of :func:`map_images`.
        finished: as of :func:`map_images`.
        groups: as of :func:`map_images`.

    Raises:
        StageError: some images failed.
        UsageError: a worker process was killed.
    """
    remove_others(artifacts.folder(stage, name), [f"{image.id}{suffix}" for image in images])
    label = f"{stage} {name}"
    seconds = map_images(work, images, stage=stage, label=label, workers=workers, finished=finished, groups=groups)
    write_summary(artifacts.summary(stage, name), len(images), seconds)


Outcome = float | None | WsgcnError
"""Seconds that an image took, None where nothing was to do, or the error."""


def _outcomes(
    work: Callable[[Image], bool], groups: Sequence[Sequence[Image]], workers: int
) -> Generator[tuple[str, Outcome]]:
    if workers <= 1:
        with threads(1):
            for group in groups:
                yield from _do(work, group)
        return
    # A fork server has imported the stage once, has no threads yet, and forks workers in milliseconds.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([getattr(work, "func", work).__module__])
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    try:
        for job in as_completed([pool.submit(_do, work, group) for group in groups]):
            yield from job.result()
    except BrokenProcessPool as error:
        raise UsageError(
            "a worker process was killed, most likely for want of memory: choose fewer runtime.workers and run it "
            "again, what is done stays done"
        ) from error
    finally:
        # Leaving a `with` block would do all the images that wait before an interrupt or an error gets out.
        pool.shutdown(cancel_futures=True)


def _do(work: Callable[[Image], bool], group: Sequence[Image]) -> list[tuple[str, Outcome]]:
    start = time.perf_counter()
    made = work.together(group) if len(group) > 1 else [_try(work, image) for image in group]  # type: ignore[attr-defined]
    seconds = (time.perf_counter() - start) / len(group)
    outcomes = (one if isinstance(one, WsgcnError) else seconds if one else None for one in made)
    return [(image.id, outcome) for image, outcome in zip(group, outcomes)]


def _try(work: Callable[[Image], bool], image: Image) -> bool | WsgcnError:
    try:
        return work(image)
    except WsgcnError as error:
        return error


def _start_worker() -> None:
    """One thread a worker, no worker survives its parent, and Ctrl-C is the parent's to handle."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_with, args=(parent.sentinel,), daemon=True).start()


def _exit_with(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    sys.stderr.flush()
    os._exit(1)
