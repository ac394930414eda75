"""A network of two numbers to train, and what a training left."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from wsgcn.params import load_params
from wsgcn.store.files import read_table
from wsgcn.store.paths import Artifacts
from wsgcn.training.descent import Step, TrainingLoss
from wsgcn.training.launched import trained_together
from wsgcn.training.loop import Training, fabric_for, train


class Line(TrainingLoss):
    """Fits y = a x + b, with a rate for each and no weight decay for b."""

    def __init__(self):
        super().__init__()
        self.slope, self.shift = nn.Parameter(torch.tensor([0.5])), nn.Parameter(torch.tensor([2.0]))

    def groups(self):
        return [{"params": [self.slope], "lr": 0.05}, {"params": [self.shift], "lr": 0.1, "weight_decay": 0.0}]

    def forward(self, x, y):
        return ((self.slope * x + self.shift - y) ** 2).mean()


def line_sample(item: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A point of y = 2 x."""
    return torch.tensor(item), torch.tensor(2 * item)


def endless() -> None:
    """Trains on two processes until it is stopped; the processes of a training must find it by name."""
    params = load_params(Path(__file__).parents[2] / "params.yaml")
    runtime = params.runtime.model_copy(update={"device": "cpu", "devices": 2})
    training = Training(
        loss=Line(), items={"a": 1.0, "b": 2.0}, sample=line_sample, params=params.segtrain["deeplab"], steps=10**9,
        run_seed=0, name="line", label="line", section="line", unfinished=Path("unfinished"),
    )  # fmt: skip
    train(training, fabric_for(runtime), say)


def short(devices: int) -> tuple[list[float], list[float]]:
    """Twelve updates on so many processes; every loss, and the two numbers."""
    params = load_params(Path(__file__).parents[2] / "params.yaml")
    runtime = params.runtime.model_copy(update={"device": "cpu", "devices": devices, "precision": "32-true"})
    settings = params.segtrain["deeplab"].model_copy(update={"batch": 2, "warmup_steps": 0})
    with trained_together(runtime) as first:
        if not first:
            return [], []
        line, found = Line(), []
        for name in ("one", "two"):  # a stage may train several times
            training = Training(
                loss=line, items={"a": 1.0, "b": 2.0, "c": -1.0}, sample=line_sample, params=settings, steps=6,
                run_seed=0, name=name, label=name, section="line", unfinished=Path(f"unfinished-{name}"),
            )  # fmt: skip
            found += [step.loss for step in train(training, fabric_for(runtime)).history]
        return found, [line.slope.item(), line.shift.item()]


def say(step: Step) -> None:
    """A line for the parent."""
    sys.stdout.write(f"{step.number}\n")
    sys.stdout.flush()


def losses(artifacts: Artifacts, stage: str, name: str) -> list[float]:
    """The curve of a stage."""
    return [float(row["loss"]) for row in read_table(artifacts.history(stage, name))]


def weights(checkpoint: Path) -> dict[str, Tensor]:
    """What a checkpoint holds."""
    return torch.load(checkpoint, weights_only=True)["state"]
