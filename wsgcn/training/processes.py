"""A training in processes of its own, one a device."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import active_children
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import multiprocessing
from torch.multiprocessing.spawn import ProcessExitedException

from wsgcn.errors import UsageError, WsgcnError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from wsgcn.training.descent import Step
    from wsgcn.training.loop import Training

Work = Callable[["Fabric", "Training[Any]", Callable[["Step"], None]], None]
"""Trains on one process's part of the batches, and tells of every update."""


class _Finished(NamedTuple):
    """What a training leaves: its network's weights as arrays by name."""

    state: dict[str, Any]


def train_apart(work: Work, training: Training[Any], fabric: Fabric, done: Callable[[Step], None]) -> None:
    """Train in processes of their own; what they say comes back through a pipe while they work.

    Raises:
        UsageError: a process was killed.
        WsgcnError: what a process raised.
    """
    reader, writer = multiprocessing.get_context("spawn").Pipe(duplex=False)
    others = set(active_children())
    with ThreadPoolExecutor(1) as pool:
        listening = pool.submit(_listen, reader, done)
        try:
            fabric.launch(partial(_work_apart, work=work, training=training, writer=writer))
        except BaseException as error:
            for process in set(active_children()) - others:  # an interrupt of this process alone leaves them at work
                process.kill()
            writer.close()
            said = listening.result()
            if isinstance(said, WsgcnError):
                raise said from None
            if isinstance(error, ProcessExitedException):
                raise UsageError(f"{training.section}: {error}, perhaps for want of memory: run it again") from error
            raise
        writer.close()
        finished = listening.result()
    training.loss.load_state_dict({name: torch.from_numpy(array) for name, array in finished.state.items()})


def _work_apart(fabric: Fabric, work: Work, training: Training[Any], writer: Connection) -> None:
    # What comes from another process lies in memory that all share, where each would change the others' weights.
    training = replace(training, loss=copy.deepcopy(training.loss))
    try:
        work(fabric, training, writer.send if fabric.is_global_zero else _ignore)
    except WsgcnError as error:
        writer.send(error)
        sys.exit(1)
    if fabric.is_global_zero:
        writer.send(_Finished({name: one.numpy(force=True) for name, one in training.loss.state_dict().items()}))


def _ignore(step: Step) -> None:
    pass


def _listen(reader: Connection, done: Callable[[Step], None]) -> Any:
    """Hear every update; what comes last is the network's state or an error, None where the processes were killed."""
    last = None
    with reader:
        while True:
            try:
                message = reader.recv()
            except EOFError:
                return last
            if isinstance(message, _Finished | WsgcnError):
                last = message
            else:
                done(message)
