"""Gradient descent as every training here does it: groups with their own rates, a poly schedule, several devices."""

from __future__ import annotations

import copy
import itertools
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import active_children
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, cast

import torch
from torch import Tensor, multiprocessing, nn
from torch.multiprocessing.spawn import ProcessExitedException

from wsgcn.errors import UsageError, WsgcnError
from wsgcn.runtime.devices import pick_device
from wsgcn.runtime.progress import progress_bar
from wsgcn.runtime.seeds import seeded
from wsgcn.training.batches import batches
from wsgcn.training.optimiser import ParameterGroup, finite, poly_schedule, sgd

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from wsgcn.params import Runtime
    from wsgcn.sections import SgdTraining

Item = TypeVar("Item")

# Here rather than in a function, so that the processes of a training are as quiet as this one.
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)


class Step(NamedTuple):
    """One gradient update: its number from 0, its loss, and the first group's learning rate that it used."""

    number: int
    loss: float
    lr: float


class TrainingLoss(nn.Module):
    """A network together with its loss: ``forward`` takes the tensors of a batch and gives a scalar."""

    def groups(self) -> list[ParameterGroup]:
        """What learns, with the rate of the first update."""
        raise NotImplementedError


@dataclass(frozen=True)
class Training(Generic[Item]):
    """A training as a whole; it can be sent to other processes.

    Attributes:
        loss: in the mode and with the frozen parameters that it trains with.
        items: what to make samples of, by image id.
        sample: makes the tensors of one item; its generator depends on (seed, name, epoch, image id).
        params: batch, momentum, weight decay and power of the schedule.
        steps: updates, after which the rates would be 0.
        accumulate: batches of one update.
        run_seed: seed of the run.
        name: part of every seed.
        label: text of the progress bar.
        section: of the parameters, for an error.
    """

    loss: TrainingLoss
    items: Mapping[str, Item]
    sample: Callable[[Item, torch.Generator], tuple[Tensor, ...]]
    params: SgdTraining
    steps: int
    run_seed: int
    name: str
    label: str
    section: str
    accumulate: int = 1


def fabric_for(runtime: Runtime) -> Fabric:
    """The devices that train together and their precision.

    Raises:
        UsageError: a device is not there, or cannot compute so.
    """
    from lightning_fabric import Fabric  # takes seconds and 180 MB, which the workers of per-image stages do not need
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment

    device = pick_device(runtime.device)
    if device.type == "cpu" and runtime.precision == "16-mixed":
        raise UsageError("runtime.precision 16-mixed needs CUDA: use 32-true or bf16-mixed on a CPU")
    # The processes are ours, on this machine, whatever a cluster's variables say.
    here = LightningEnvironment()
    if runtime.devices == 1:
        chosen: int | list[int] = 1 if device.type == "cpu" else [device.index or 0]
        return Fabric(accelerator=device.type, devices=chosen, precision=runtime.precision, plugins=here)
    if device.index is not None:
        raise UsageError(f"runtime.device {device} is one device, runtime.devices asks for {runtime.devices}: use cuda")
    if device.type == "cuda" and runtime.devices > torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise UsageError(f"runtime.devices is {runtime.devices}, but there {'is' if count == 1 else 'are'} {count}")
    # Processes are spawned: a fork would inherit the threads of this process in an unknown state.
    return Fabric(
        accelerator=device.type,
        devices=runtime.devices,
        precision=runtime.precision,
        strategy="ddp_spawn",
        plugins=here,
    )


def train(training: Training[Any], fabric: Fabric, each: Callable[[Step], None] | None = None) -> list[Step]:
    """Train the network in place; it is left on the first device, in evaluation mode.

    Args:
        training: what to train.
        fabric: the devices, which share every batch.
        each: called with every update after it is done.

    Returns:
        Every update.

    Raises:
        UsageError: the loss is no longer finite, or memory was too small.
        WsgcnError: a sample could not be made.
    """
    history: list[Step] = []
    with progress_bar(training.label, training.steps) as advance:

        def done(step: Step) -> None:
            history.append(step)
            advance()
            if each is not None:
                each(step)

        if fabric.world_size == 1:
            fabric.launch(partial(_work, training=training, done=done))
        else:
            _train_apart(training, fabric, done)
    training.loss.to(fabric.device).eval()
    return history


def descend(
    objective: TrainingLoss,
    feed: Iterable[tuple[Tensor, ...]],
    params: SgdTraining,
    *,
    fabric: Fabric,
    steps: int,
    section: str,
    accumulate: int = 1,
) -> Iterator[Step]:
    """Change the parameters in place, one update for every ``accumulate`` batches, until the feed ends.

    Args:
        objective: the network and its loss; an update follows the mean gradient of its batches.
        feed: the batches, of every process its own part.
        params: momentum, weight decay and power of the schedule.
        fabric: launched, where there are several processes.
        steps: updates after which the rates would be 0.
        section: of the parameters, for an error.
        accumulate: batches of one update.

    Yields:
        Each update after it is done, with the mean loss over the processes; one that ``16-mixed`` leaves out, as its
        gradient overflows, counts too.

    Raises:
        UsageError: the loss is no longer finite.
    """
    optimizer = sgd(objective.groups(), momentum=params.momentum, weight_decay=params.weight_decay)
    schedule = poly_schedule(optimizer, steps, params.poly_power)
    loss_of, stepper = fabric.setup(objective, optimizer)
    feed, numbers = iter(feed), itertools.count()
    while some := list(itertools.islice(feed, accumulate)):
        number, value = next(numbers), 0.0
        stepper.zero_grad()
        for left, batch in zip(reversed(range(len(some))), some):
            with fabric.no_backward_sync(loss_of, enabled=left > 0):
                loss = loss_of(*fabric.to_device(batch)) / accumulate
                value += finite(cast("Tensor", fabric.all_reduce(loss.detach().clone())), section, number)
                fabric.backward(loss)
        lr = float(schedule.get_last_lr()[0])
        stepper.step()
        schedule.step()
        yield Step(number, value, lr)


def _work(fabric: Fabric, training: Training[Any], done: Callable[[Step], None]) -> None:
    """What each process does: train on its part of the batches."""
    feed = batches(
        training.items,
        training.sample,
        batch=training.params.batch,
        steps=training.steps * training.accumulate,
        run_seed=training.run_seed,
        name=training.name,
        part=(fabric.global_rank, fabric.world_size),
    )
    stacked = (tuple(torch.stack(part) for part in zip(*samples)) for samples in feed)
    names = [training.name, "dropout", *([str(fabric.global_rank)] if fabric.global_rank else [])]
    steps = descend(
        training.loss,
        stacked,
        training.params,
        fabric=fabric,
        steps=training.steps,
        section=training.section,
        accumulate=training.accumulate,
    )
    try:
        with seeded(training.run_seed, *names):
            for step in steps:
                done(step)
    except torch.OutOfMemoryError as error:
        raise UsageError(
            f"{training.section}: the memory of {fabric.device} is too small: choose a smaller batch or crop, "
            "more runtime.devices or a mixed runtime.precision"
        ) from error


def _train_apart(training: Training[Any], fabric: Fabric, done: Callable[[Step], None]) -> None:
    """Train in processes of their own; what they say comes back through a pipe while they work."""
    reader, writer = multiprocessing.get_context("spawn").Pipe(duplex=False)
    others = set(active_children())
    with ThreadPoolExecutor(1) as pool:
        listening = pool.submit(_listen, reader, done)
        try:
            fabric.launch(partial(_work_apart, training=training, writer=writer))
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
        state = listening.result()
    training.loss.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})


def _work_apart(fabric: Fabric, training: Training[Any], writer: Connection) -> None:
    # What comes from another process lies in memory that all share, where each would change the others' weights.
    training = replace(training, loss=copy.deepcopy(training.loss))
    try:
        _work(fabric, training, writer.send if fabric.is_global_zero else _ignore)
    except WsgcnError as error:
        writer.send(error)
        sys.exit(1)
    if fabric.is_global_zero:
        writer.send({name: one.numpy(force=True) for name, one in training.loss.state_dict().items()})


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
            if isinstance(message, Step):
                done(message)
            else:
                last = message
