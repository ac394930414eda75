"""Gradient descent as every training here does it, on several devices.

A training that was killed goes on where it was last kept, and ends with the weights of one that was not: what an update
draws depends on the run's seed and the update's number, and what it starts from is kept exactly.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from wsgcn.errors import UsageError
from wsgcn.runtime.devices import pick_device, pick_precision
from wsgcn.runtime.progress import progress_bar
from wsgcn.runtime.seeds import generator_for, seeded
from wsgcn.store.checkpoints import read_unfinished, save_unfinished
from wsgcn.training.batches import batches
from wsgcn.training.check import BestWeights, learned, watched
from wsgcn.training.descent import Descent, Step, TrainingLoss
from wsgcn.training.launched import launched_fabric, launched_processes, train_launched
from wsgcn.training.processes import train_apart
from wsgcn.training.room import require_room

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from wsgcn.params import Runtime
    from wsgcn.sections import Check, NetworkTraining

Item = TypeVar("Item")

KEEP_SECONDS = 30
"""How much work a kill costs at most."""

# Here rather than in a function, so that the processes of a training are as quiet as this one. Importing the package
# sets the level of "lightning_fabric" itself, but not of this part of it.
logging.getLogger("lightning_fabric.utilities").setLevel(logging.WARNING)


class Trained(NamedTuple):
    """Every update of a training, and what :func:`~wsgcn.training.check.learned` says of it; empty without a check."""

    history: list[Step]
    learned: dict[str, Any]


@dataclass(frozen=True)
class Training(Generic[Item]):
    """A training as a whole; it can be sent to other processes.

    Attributes:
        loss: in the mode and with the frozen parameters that it trains with.
        items: what to make samples of, by image id.
        sample: makes the tensors of one item; its generator depends on (seed, name, epoch, image id).
        params: batch, optimiser, warm-up and power of the schedule, average of the weights.
        steps: updates, after which the rates would be 0.
        until: updates after which it ends, if these are fewer; None = all.
        accumulate: batches of one update.
        run_seed: seed of the run.
        name: part of every seed.
        label: text of the progress bar.
        section: of the parameters, for an error.
        unfinished: file in which the training is kept while it goes on; of nothing but this very training.
        check: which of the items measure, and when; None = all train and nothing is measured.
    """

    loss: TrainingLoss
    items: Mapping[str, Item]
    sample: Callable[[Item, torch.Generator], tuple[Tensor, ...]]
    params: NetworkTraining
    steps: int
    run_seed: int
    name: str
    label: str
    section: str
    unfinished: Path
    accumulate: int = 1
    check: Check | None = None
    until: int | None = None

    @property
    def length(self) -> int:
        """Its updates, where nothing ends it early."""
        return self.steps if self.until is None else min(self.until, self.steps)


def fabric_for(runtime: Runtime) -> Fabric:
    """The devices that train together and their precision.

    Raises:
        UsageError: a device is not there, or cannot compute so.
    """
    from lightning_fabric import Fabric  # takes seconds and 180 MB, which the workers of per-image stages do not need
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment

    device = pick_device(runtime.device)
    precision = pick_precision(runtime.precision, runtime.device)
    if device.type == "cpu" and precision == "16-mixed":
        raise UsageError("runtime.precision 16-mixed needs CUDA: use 32-true or bf16-mixed on a CPU")
    if device.index is not None and runtime.devices > 1:
        raise UsageError(f"runtime.device {device} is one device, runtime.devices asks for {runtime.devices}: use cuda")
    if launched_processes() > 1:
        return launched_fabric(runtime, device, precision)
    # The processes are ours, on this machine, whatever else a cluster's variables say.
    here = LightningEnvironment()
    if runtime.devices == 1:
        chosen: int | list[int] = 1 if device.type == "cpu" else [device.index or 0]
        return Fabric(accelerator=device.type, devices=chosen, precision=precision, plugins=here)
    if device.type == "cuda" and runtime.devices > torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise UsageError(f"runtime.devices is {runtime.devices}, but there {'is' if count == 1 else 'are'} {count}")
    # Processes are spawned: a fork would inherit the threads of this process in an unknown state.
    return Fabric(
        accelerator=device.type,
        devices=runtime.devices,
        precision=precision,
        strategy="ddp_spawn",
        plugins=here,
    )


def train(training: Training[Any], fabric: Fabric, each: Callable[[Step], None] | None = None) -> Trained:
    """Train the network in place; it is left on the first device, in evaluation mode.

    With ``check.stop`` it ends early where the measured photographs say so, and keeps its best weights.

    Args:
        training: what to train.
        fabric: the devices, which share every batch.
        each: called with every update after it is done, and first with those that an earlier, killed run had done.

    Raises:
        UsageError: the memory is too small, or the loss is no longer finite.
        WsgcnError: a sample could not be made.
    """
    require_room(training, fabric)
    history: list[Step] = []
    manner = f"updates on {fabric.world_size} x {fabric.device}, {fabric.strategy.precision.precision}"
    with progress_bar(training.label, training.length, manner) as advance:

        def done(step: Step) -> None:
            history.append(step)
            advance()
            if each is not None:
                each(step)

        if fabric.world_size == 1:
            fabric.launch(partial(_work, training=training, done=done))
        elif launched_processes() > 1:
            train_launched(_work, training, fabric, done)
        else:
            train_apart(_work, training, fabric, done)
    training.loss.to(fabric.device).eval()
    if training.check is None:
        return Trained(history, {})
    trains, measures = watched(training.items, training.check, training.run_seed)
    held_out = not trains.keys() & measures.keys()
    return Trained(history, learned(history, training.check.stop is not None, len(measures), held_out))


def take_part(fabric: Fabric, training: Training[Any]) -> None:
    """Train on this process's part of the batches, for another process that hears of every update."""
    _work(fabric, training, lambda step: None)


def _work(fabric: Fabric, training: Training[Any], done: Callable[[Step], None]) -> None:
    """What each process does: train on its part of the batches."""
    # All go on from what the first one finds: another machine may not have it, or the first one keeps a later one soon.
    state = fabric.broadcast(read_unfinished(training.unfinished) if fabric.is_global_zero else None)
    descent = Descent(
        training.loss, training.params, fabric=fabric, steps=training.steps, section=training.section
    )  # fmt: skip
    pinned = fabric.device.type == "cuda"  # a GPU takes such memory while it computes
    watch = _Watch(training, descent)
    if state is not None:
        descent.resume(state)
        watch.best.resume(state["best"])
        for step in descent.history:
            done(step)
    feed = batches(
        watch.trains,
        training.sample,
        batch=training.params.batch,
        steps=training.length * training.accumulate,
        first=len(descent.history) * training.accumulate,
        run_seed=training.run_seed,
        name=training.name,
        part=(fabric.global_rank, fabric.world_size),
    )
    stacked = (_stack(samples, pinned) for samples in feed)
    kept = time.monotonic()
    try:
        while not watch.best.over and (some := list(itertools.islice(stacked, training.accumulate))):
            with seeded(training.run_seed, training.name, "update", str(len(descent.history)), str(fabric.global_rank)):
                descent.update(some)
            watch.look()
            done(descent.history[-1])
            if fabric.is_global_zero and time.monotonic() - kept > KEEP_SECONDS:
                save_unfinished(training.unfinished, descent.state() | {"best": watch.best.state()})
                kept = time.monotonic()
        descent.settle()
        watch.best.give(training.loss)  # the best look, where looks choose, instead of the last average
    except torch.OutOfMemoryError as error:
        raise UsageError(
            f"{training.section}: the memory of {fabric.device} is too small: choose a smaller batch or crop, "
            "more runtime.devices or a mixed runtime.precision"
        ) from error


class _Watch:
    """Measures the network of a training now and then, and at its end.

    Attributes:
        trains: the items that train.
        best: the weights of the best measurement, and whether the training is over.
    """

    def __init__(self, training: Training[Any], descent: Descent):
        self._training, self._descent, check = training, descent, training.check
        self.trains, measures = (
            (training.items, {}) if check is None else watched(training.items, check, training.run_seed)
        )
        self._stop = check.stop if check else None
        self.best = BestWeights(self._stop.patience if self._stop else None)
        seed, name, batch = training.run_seed, training.name, training.params.batch
        samples = [training.sample(item, generator_for(seed, name, "check", one)) for one, item in measures.items()]
        self._batches = [_stack(samples[at : at + batch], False) for at in range(0, len(samples), batch)]

    def look(self) -> None:
        """Measure, if it is time to."""
        history = self._descent.history
        due = len(history) == self._training.length or (self._stop is not None and len(history) % self._stop.every == 0)
        if due and self._batches:
            found = self._descent.measure(self._batches)
            history[-1] = history[-1]._replace(measured=found)
            self.best.seen(found.loss, self._descent.result)


def _stack(samples: Sequence[Sequence[Tensor]], pinned: bool) -> tuple[Tensor, ...]:
    stacked = (torch.stack(part) for part in zip(*samples))
    return tuple(part.pin_memory() if pinned else part for part in stacked)
