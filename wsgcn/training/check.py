"""Whether a training learns: photographs that do not train measure the network, which keeps its best weights.

A length in updates fits any number of photographs only if the training notices when they have no more to teach it.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from wsgcn.runtime.seeds import generator_for

if TYPE_CHECKING:
    from wsgcn.sections import Check
    from wsgcn.training.descent import Step

Item = TypeVar("Item")


class Measured(NamedTuple):
    """What some photographs say of a network.

    Attributes:
        loss: mean, as it is trained; infinite where there was nothing to measure.
        accuracy: balanced accuracy, the mean recall, in [0, 1].
        chance: balanced accuracy of a network that knows nothing of these photographs.
    """

    loss: float
    accuracy: float
    chance: float


def watched(items: Mapping[str, Item], check: Check, run_seed: int) -> tuple[dict[str, Item], dict[str, Item]]:
    """What trains, and what measures; a photograph is in both only where none is held out.

    The choice depends on the run's seed and the ids, so that all networks of a project hold out the same photographs.

    Args:
        items: what to make samples of, by image id.
        check: share that is held out, and how many measure at most.
        run_seed: seed of the run.
    """
    ids = sorted(items)
    order = torch.randperm(len(ids), generator=generator_for(run_seed, "check")).tolist()
    held_out = check.held_out > 0 and len(ids) > 1
    wanted = min(max(1, round(check.held_out * len(ids))), len(ids) - 1) if held_out else len(ids)
    count = min(check.photographs, wanted)
    chosen = {ids[place] for place in order[:count]}
    trains = {name: item for name, item in items.items() if not (held_out and name in chosen)}
    return trains, {name: item for name, item in items.items() if name in chosen}


def mean_recall(right: Tensor, count: Tensor) -> float:
    """Balanced accuracy of ``(M,)`` groups: the mean share of right answers over the groups that have any cases."""
    there = count > 0
    return float((right[there] / count[there]).mean()) if there.any() else 0.0


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """The network in evaluation and without gradients; afterwards each of its modules is in its own mode again."""
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


class BestWeights:
    """The weights of the best measurement so far.

    Args:
        patience: measurements without a better one, after which a training is over; None = it never is, and the last
            weights stay.
    """

    def __init__(self, patience: int | None):
        self._patience, self._since = patience, 0
        self._least = float("inf")
        self._weights: dict[str, Tensor] = {}

    def seen(self, loss: float, net: nn.Module) -> None:
        """Take the weights if no measurement was better."""
        if self._patience is None:
            return
        self._since += 1
        if loss < self._least:
            self._least, self._since = loss, 0
            self._weights = copy.deepcopy(net.state_dict())

    @property
    def over(self) -> bool:
        """Whether the last measurements were all worse than the best."""
        return self._patience is not None and self._since >= self._patience

    def give(self, net: nn.Module) -> None:
        """Put the best weights back."""
        if self._weights:
            net.load_state_dict(self._weights)

    def state(self) -> dict[str, Any]:
        """All of it, as plain values and tensors."""
        return {"since": self._since, "least": self._least, "weights": self._weights}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from a :meth:`state`."""
        self._since, self._least = state["since"], state["least"]
        self._weights = dict(state["weights"])


def learned(history: Sequence[Step], stopped: bool, photographs: int, held_out: bool) -> dict[str, Any]:
    """What the measurements say of the weights that are kept, for people and for MLflow.

    Args:
        history: every update; some with a measurement.
        stopped: the best measurement counts, else the last one.
        photographs: how many measured.
        held_out: they did not train.

    Returns:
        ``updates`` (all of them), ``kept`` (those of the kept weights), ``photographs`` that measured, whether they
        were held out of the training, and ``loss`` (if there was anything to measure), ``balanced_accuracy`` and
        ``chance``.
    """
    measured = [(step, step.measured) for step in history if step.measured is not None]
    last = measured[-1]
    finite = [one for one in measured if math.isfinite(one[1].loss)]
    step, found = min(finite, key=lambda one: one[1].loss, default=last) if stopped else last
    return {
        "updates": len(history),
        "kept": step.number + 1,
        "photographs": photographs,
        "held_out": held_out,
        **({"loss": found.loss} if math.isfinite(found.loss) else {}),  # JSON knows no infinity
        "balanced_accuracy": found.accuracy,
        "chance": found.chance,
    }
