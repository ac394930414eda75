"""Work on many images in worker processes of one thread each."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from typing import Protocol, TypeVar

import torch

from wsgcn.errors import StageError, UsageError, WsgcnError
from wsgcn.runtime.devices import threads, worker_count
from wsgcn.runtime.progress import progress_bar


class HasId(Protocol):
    """Anything with an image id, such as an :class:`~wsgcn.artifacts.ImageRecord`."""

    @property
    def id(self) -> str: ...  # noqa: D102


Image = TypeVar("Image", bound=HasId)


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
