"""What a loss needs when several processes share a batch; without them nothing changes."""

from __future__ import annotations

import torch
from torch import Tensor, distributed


def shared_sum(value: Tensor) -> Tensor:
    """A process's value, of any shape, added up over all processes."""
    if not distributed.is_initialized():
        return value
    total = value.detach().clone()
    distributed.all_reduce(total)
    return total


def shared_count(count: Tensor) -> Tensor:
    """What to divide a process's sum by, so that the mean of the processes' quotients is the mean over all of them.

    Gradients and losses are averaged over processes, and where each divides by its own count, a process with few
    labels would weigh as much as one with many.

    Args:
        count: how many a process's sum has, of any shape.

    Returns:
        The count over all processes, at least 1, divided by the number of processes.
    """
    processes = distributed.get_world_size() if distributed.is_initialized() else 1
    return shared_sum(count).clamp(min=1) / processes


def shared_mean(costs: Tensor) -> Tensor:
    """The mean of the ``(B,)`` costs of a process's photographs, so that the mean over processes is that of them all.

    The processes may have different numbers of photographs.
    """
    return costs.sum() / shared_count(torch.tensor(len(costs), device=costs.device))
