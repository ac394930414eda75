"""Work on many images in worker processes of one thread each."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

import torch

from wsgcn.errors import StageError, UsageError, WsgcnError
from wsgcn.runtime.cores import start_fork_server, worker_count
from wsgcn.runtime.devices import threads
from wsgcn.runtime.memory import A_PHOTOGRAPHS, GB, keep_freed_memory
from wsgcn.runtime.progress import progress_bar


class HasId(Protocol):
    """Anything with an image id, such as an :class:`~wsgcn.store.index.ImageRecord`."""

    @property
    def id(self) -> str: ...  # noqa: D102


Image = TypeVar("Image", bound=HasId)


class Done(NamedTuple):
    """An image that a stage has: the seconds that it took when it was made, None where nobody knows."""

    seconds: float | None


Outcome = Done | WsgcnError
Work = Callable[[Sequence[Image]], Sequence[Outcome]]
"""Does some images at once, one in most cases, and says of each whether it is done or why it failed; picklable."""


@dataclass(frozen=True)
class EachImage(Generic[Image]):
    """Work that does one image at a time; an error of one image leaves the others alone."""

    work: Callable[[Image], object]

    def __call__(self, images: Sequence[Image]) -> list[Outcome]:
        """Do each image."""
        return [self._do(image) for image in images]

    def _do(self, image: Image) -> Outcome:
        start = time.perf_counter()
        try:
            self.work(image)
        except WsgcnError as error:
            return error
        return Done(time.perf_counter() - start)


def map_images(
    work: Work[Image],
    groups: Sequence[Sequence[Image]],
    *,
    stage: str,
    label: str,
    workers: int,
    memory: int = 0,
    preload: str | None = None,
    finished: Callable[[str], None] | None = None,
) -> dict[str, float]:
    """Do every image, in worker processes of one thread each. Results must not depend on the order.

    Args:
        work: does a group; :class:`EachImage` makes it from what does one image.
        groups: images of the stage, those together that are to be done at once.
        stage: word of the stage, for the error.
        label: text before the progress bar.
        workers: number of processes; 1 works in this process, 0 takes one a core, or as many as there is memory for.
        memory: bytes that a process takes, 0 = next to nothing.
        preload: module that the processes are to have imported before they start.
        finished: called in this process with the id of each image that succeeded.

    Returns:
        Seconds by image id, where they are known.

    Raises:
        StageError: some images failed; the others were done.
        UsageError: a worker process was killed.
    """
    processes = min(worker_count(workers, memory), len(groups))
    manner = "1 process" if processes <= 1 else f"{processes} processes"
    if processes < min(worker_count(workers), len(groups)):
        manner += f", as memory is for no more: {memory / GB:.1f} GB each"
    with closing(_outcomes(work, groups, processes, preload)) as outcomes:
        return collect(
            outcomes, stage=stage, label=label, total=sum(map(len, groups)), manner=manner, finished=finished
        )


def collect(
    outcomes: Iterable[tuple[str, Outcome]],
    *,
    stage: str,
    label: str,
    total: int,
    manner: str,
    finished: Callable[[str], None] | None,
) -> dict[str, float]:
    """Hear what became of each image, and show how far it is.

    Args:
        outcomes: by image id, as they come.
        stage: word of the stage, for the error.
        label: text before the progress bar.
        total: number of images.
        manner: how they are done, for the progress bar.
        finished: called with the id of each image that succeeded.

    Returns:
        Seconds by image id, where they are known.

    Raises:
        StageError: some images failed.
    """
    seconds: dict[str, float] = {}
    failures: dict[str, str] = {}
    with progress_bar(label, total, manner) as advance:
        for image_id, outcome in outcomes:
            if isinstance(outcome, WsgcnError):
                failures[image_id] = str(outcome)
            else:
                if outcome.seconds is not None:
                    seconds[image_id] = outcome.seconds
                if finished is not None:
                    finished(image_id)
            advance()
    if failures:
        raise StageError(stage, failures, total)
    return seconds


def _outcomes(
    work: Work[Image], groups: Sequence[Sequence[Image]], workers: int, preload: str | None
) -> Generator[tuple[str, Outcome]]:
    if workers <= 1:
        keep_freed_memory(A_PHOTOGRAPHS)
        with threads(1):
            for group in groups:
                yield from _do(work, group)
        return
    # A fork server has imported the stage once, has no threads yet, and forks workers in milliseconds.
    start_fork_server(preload or type(work).__module__, workers)
    context = multiprocessing.get_context("forkserver")
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


def _do(work: Work[Image], group: Sequence[Image]) -> list[tuple[str, Outcome]]:
    return [(image.id, outcome) for image, outcome in zip(group, work(group), strict=True)]


def _start_worker() -> None:
    """One thread a worker, no worker survives its parent, and Ctrl-C is the parent's to handle."""
    torch.set_num_threads(1)
    keep_freed_memory(A_PHOTOGRAPHS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_with, args=(parent.sentinel,), daemon=True).start()


def _exit_with(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    sys.stderr.flush()
    os._exit(1)
