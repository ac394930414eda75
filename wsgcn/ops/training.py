"""Gradient descent as every training here does it: groups with their own rates, a poly schedule, accumulation."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from torch import Tensor

from wsgcn.ops.augment import ParameterGroup, finite, poly_schedule, sgd

if TYPE_CHECKING:
    from wsgcn.params import SgdTraining

Batch = TypeVar("Batch")


class Step(NamedTuple):
    """One gradient update: its number from 0, its loss, and the first group's learning rate that it used."""

    number: int
    loss: float
    lr: float


def descend(
    groups: Iterable[ParameterGroup],
    loss_of: Callable[[Batch], Tensor],
    feed: Iterable[Batch],
    params: SgdTraining,
    *,
    steps: int,
    section: str,
    accumulate: int = 1,
) -> Iterator[Step]:
    """Change the parameters in place, one update for every ``accumulate`` batches, until the feed ends.

    Args:
        groups: parameters with the rate of the first update.
        loss_of: a scalar loss of one batch; an update follows the mean gradient of its batches.
        feed: the batches.
        params: momentum, weight decay and power of the schedule.
        steps: updates after which the rates would be 0.
        section: of the parameters, for an error.
        accumulate: batches of one update.

    Yields:
        Each update after it is done.

    Raises:
        UsageError: the loss is no longer finite.
    """
    optimizer = sgd(groups, momentum=params.momentum, weight_decay=params.weight_decay)
    schedule = poly_schedule(optimizer, steps, params.poly_power)
    feed, numbers = iter(feed), itertools.count()
    while some := list(itertools.islice(feed, accumulate)):
        number, value = next(numbers), 0.0
        optimizer.zero_grad()
        for batch in some:
            loss = loss_of(batch) / accumulate
            value += finite(loss, section, number)
            loss.backward()
        lr = float(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
        yield Step(number, value, lr)
