"""The updates of one network: groups with their own rates, a poly schedule, an average of the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from wsgcn.nets.base import on_device
from wsgcn.runtime.memory import keep_freed_memory
from wsgcn.training.check import Measured, evaluating
from wsgcn.training.optimiser import ParameterGroup, finite, poly_schedule

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from wsgcn.sections import NetworkTraining


class Step(NamedTuple):
    """One gradient update: its number from 0, its loss, the first group's learning rate, what was measured after it."""

    number: int
    loss: float
    lr: float
    measured: Measured | None = None


class TrainingLoss(nn.Module):
    """A network together with its loss: ``forward`` takes the tensors of a batch and gives a scalar."""

    def groups(self) -> list[ParameterGroup]:
        """What learns, with the rate of the first update."""
        raise NotImplementedError

    def begin(self, update: int) -> None:
        """Called before each update, for what is drawn alike in every process; here nothing is."""

    def counts(self, batch: Sequence[Tensor]) -> Tensor:
        """What a batch adds to a measurement, of a shape of the loss's own; those of all batches are added up."""
        raise NotImplementedError

    def measured(self, counts: Tensor) -> Measured:
        """The measurement that added-up :meth:`counts` are."""
        raise NotImplementedError


class Descent:
    """The updates of one network, which is changed in place.

    Args:
        objective: the network and its loss.
        params: optimiser, warm-up, power of the schedule and average of the weights.
        fabric: launched, where there are several processes.
        steps: updates after which the rates would be 0.
        section: of the parameters, for an error.

    Attributes:
        history: the updates so far.
        loss_of: the network and its loss on the device, in the precision of the training.
    """

    def __init__(
        self, objective: TrainingLoss, params: NetworkTraining, *, fabric: Fabric, steps: int, section: str
    ) -> None:
        keep_freed_memory()
        self._objective = on_device(objective, fabric.device)
        self._optimizer = params.optimiser.build(objective.groups())
        self._schedule = poly_schedule(self._optimizer, steps, params.poly_power, params.warmup_steps)
        self._averaged = None
        if params.average:
            self._averaged = AveragedModel(objective, multi_avg_fn=get_ema_multi_avg_fn(params.average))
        self.loss_of, self._stepper = fabric.setup(objective, self._optimizer)
        self._fabric, self._section = fabric, section
        self.history: list[Step] = []

    def update(self, some: Sequence[tuple[Tensor, ...]]) -> Step:
        """One update, which follows the mean gradient of some batches, of every process its own part.

        Returns:
            The update, with the mean loss over the processes; one that ``16-mixed`` leaves out, as its gradient
            overflows, counts too.

        Raises:
            UsageError: the loss is not finite.
        """
        number, value = len(self.history), 0.0
        self._objective.begin(number)
        self._stepper.zero_grad()
        for left, batch in zip(reversed(range(len(some))), some):
            with self._fabric.no_backward_sync(self.loss_of, enabled=left > 0):
                loss = self.loss_of(*self.to_device(batch)) / len(some)
                mean = cast("Tensor", self._fabric.all_reduce(loss.detach().clone()))
                value += finite(mean, self._section, number)
                self._fabric.backward(loss)
        lr = float(self._schedule.get_last_lr()[0])
        self._stepper.step()
        self._schedule.step()
        if self._averaged is not None:
            self._averaged.update_parameters(self._objective)
        self.history.append(Step(number, value, lr))
        return self.history[-1]

    @property
    def result(self) -> TrainingLoss:
        """The network to measure and to leave, with its loss: its weights are averages where these are wanted."""
        return self._objective if self._averaged is None else cast("TrainingLoss", self._averaged.module)

    def settle(self) -> None:
        """Give the trained network the weights of :attr:`result`."""
        if self._averaged is not None:
            self._objective.load_state_dict(self.result.state_dict())

    def measure(self, some: Sequence[Sequence[Tensor]]) -> Measured:
        """Measure :attr:`result` by some batches, every process by all of them."""
        with evaluating(self.result), self._fabric.autocast():
            counts = torch.stack([self.result.counts(self.to_device(batch)).double() for batch in some]).sum(0)
        # The mean is the same in every process to the last bit, and so is what follows from it.
        return self._objective.measured(cast("Tensor", self._fabric.all_reduce(counts)).cpu())

    def to_device(self, batch: Sequence[Tensor]) -> list[Tensor]:
        """The tensors of a batch as the network wants them."""
        return [_channels_last(part) for part in self._fabric.to_device(tuple(batch))]

    def state(self) -> dict[str, Any]:
        """All that the next update depends on, as plain values and tensors."""
        return {
            "history": [[*step[:3], step.measured and [*step.measured]] for step in self.history],
            "network": self._objective.state_dict(),
            "averaged": self._averaged and self._averaged.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "precision": self._fabric.strategy.precision.state_dict(),
        }

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from a :meth:`state`."""
        self._objective.load_state_dict(state["network"])
        if self._averaged is not None:
            self._averaged.load_state_dict(state["averaged"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._fabric.strategy.precision.load_state_dict(state["precision"])
        self.history = [
            Step(number, loss, lr, measured and Measured(*measured)) for number, loss, lr, measured in state["history"]
        ]
        self._schedule.last_epoch = len(self.history)
        self._schedule._last_lr = [float(group["lr"]) for group in self._optimizer.param_groups]


def _channels_last(part: Tensor) -> Tensor:
    return part.contiguous(memory_format=torch.channels_last) if part.dim() == 4 else part
