"""Training batches in an order and with crops that depend on the run's seed and on nothing else."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

from wsgcn.runtime.cores import core_count
from wsgcn.runtime.seeds import generator_for

Item = TypeVar("Item")
Sample = TypeVar("Sample")

_THREADS = min(4, core_count())
"""Pillow decodes and scales without Python's lock: two cores make a VOC crop of 321 pixels in 7 ms."""


def epoch_order(run_seed: int, name: str, epoch: int, count: int) -> list[int]:
    """The positions 0 … ``count`` - 1 in the order of one epoch (from 0) of the training called ``name``."""
    return torch.randperm(count, generator=generator_for(run_seed, name, str(epoch))).tolist()


def batches(
    items: Mapping[str, Item],
    make: Callable[[Item, torch.Generator], Sample],
    *,
    batch: int,
    steps: int,
    run_seed: int,
    name: str,
    first: int = 0,
    part: tuple[int, int] = (0, 1),
) -> Iterator[list[Sample]]:
    """Lists of ``batch`` samples, epoch after epoch without a gap; threads work ahead while the network trains.

    Args:
        items: what to make samples of, by image id.
        make: loads and augments one item; its generator depends on (run seed, name, epoch, image id). It must
            not run PyTorch operations on large tensors: a second thread that starts OpenMP threads slows the network
            down on a CPU.
        batch: samples a step.
        steps: number of lists, from the beginning of the training.
        run_seed: seed of the run.
        name: the training, so that two trainings draw different numbers.
        first: lists that an earlier run had; they are left out.
        part: (r, n) = of each list every n-th sample from the r-th on.

    Raises:
        WsgcnError: what ``make`` raised, when the batch's turn comes.
    """
    rank, processes = part
    drawn = itertools.islice(_draws(list(items), run_seed, name), batch * first, batch * steps)
    own = (one for number, one in enumerate(drawn) if number % batch % processes == rank)
    share = len(range(rank, batch, processes))
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="augment")
    try:
        waiting: deque[Future[Sample]] = deque()
        for image_id, generator in own:
            waiting.append(pool.submit(make, items[image_id], generator))
            if len(waiting) == 2 * share:  # one batch to train on, one in the making
                yield _take(waiting, share)
        while waiting:
            yield _take(waiting, share)
    finally:
        pool.shutdown(cancel_futures=True)


def _draws(image_ids: Sequence[str], run_seed: int, name: str) -> Iterator[tuple[str, torch.Generator]]:
    for epoch in itertools.count():
        for position in epoch_order(run_seed, name, epoch, len(image_ids)):
            image_id = image_ids[position]
            yield image_id, generator_for(run_seed, name, str(epoch), image_id)


def _take(waiting: deque[Future[Sample]], batch: int) -> list[Sample]:
    return [waiting.popleft().result() for _ in range(batch)]
