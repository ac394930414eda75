"""Weights of ``resnet-small`` for the demo, learned from made-up pictures with other figures, as ImageNet's are.

    python -m wsgcn.dataset.pretrain wsgcn/presets/resnet-small.pt

makes the file that ships in the package, in three minutes on one core. The backbone learns which of 20 figures is on a
face, from the class of each portrait alone. The demo has none of these figures, and none of these pictures. The colours
of coats tell less than in the demo: otherwise the backbone looks at colours only.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from wsgcn.dataset.figures import OTHERS
from wsgcn.dataset.paint import Look, draw_picture
from wsgcn.nets.base import Backbone
from wsgcn.nets.build import build_backbone
from wsgcn.runtime.seeds import seeded
from wsgcn.sections import AdamW, NetworkTraining
from wsgcn.store.checkpoints import write_tensors
from wsgcn.store.files import write_atomic
from wsgcn.training.augment import ToInput, random_crop
from wsgcn.training.descent import TrainingLoss
from wsgcn.training.loop import Training, train
from wsgcn.training.optimiser import ParameterGroup

SEED = 1  # of pictures and weights
PICTURES = 2400
HEIGHT, WIDTH = 96, 128  # pixels
# Animals as many pixels high as in the demo, in front of backgrounds up to twice as far from grey.
LOOK = Look(OTHERS, tall=(0.65, 0.9), hue_spread=0.12, tint=30.0)
AROUND = 72  # pixels, side of the square around a face that is shown
CROP = 56  # pixels
STEPS = 3000
SCALE = (0.75, 1.2)  # range of the random scale before the crop

Portrait = tuple[NDArray[np.uint8], int]
"""``(AROUND, AROUND, 3)`` and the one class that it shows."""


def portraits(pictures: int, seed: int = SEED) -> dict[str, Portrait]:
    """The surroundings of every face in pictures with other figures than the demo's, by name."""
    found = {}
    for number in range(pictures):
        image_id = f"other_{number:04}"
        drawn = draw_picture(image_id, number, HEIGHT, WIDTH, seed, LOOK)
        for position, (class_id, row, column) in enumerate(drawn.faces):
            top = min(max(row - AROUND // 2, 0), HEIGHT - AROUND)
            left = min(max(column - AROUND // 2, 0), WIDTH - AROUND)
            found[f"{image_id}_{position}"] = drawn.rgb_u8[top : top + AROUND, left : left + AROUND], class_id
    return found


class FigureLoss(TrainingLoss):
    """A backbone, global average pooling and one linear layer, with the cross-entropy, as on ImageNet."""

    def __init__(self, backbone: Backbone, lr: float):
        super().__init__()
        self.backbone, self.lr = backbone, lr
        self.last = nn.Linear(backbone.channels[-1], len(OTHERS))
        self.train()

    def groups(self) -> list[ParameterGroup]:
        """Everything learns alike."""
        return [{"params": list(self.parameters()), "lr": self.lr}]

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """Loss of ``(B, 3, H, W)`` photographs whose classes are ``(B,)``, from 0."""
        return functional.cross_entropy(self.last(self.backbone(x)[-1].mean(dim=(2, 3))), target)


@dataclass(frozen=True)
class FigureSample:
    """Makes a random crop of a portrait, ``(3, CROP, CROP)``, and its class from 0."""

    to_input: ToInput

    def __call__(self, portrait: Portrait, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The crop that the generator draws."""
        crop, _ = random_crop(portrait[0], None, CROP, SCALE, generator, self.to_input)
        return crop, torch.tensor(portrait[1] - 1)


def pretrained(items: Mapping[str, Portrait], steps: int, unfinished: Path) -> Backbone:
    """``resnet-small``, trained on these portraits."""
    from lightning_fabric import Fabric

    params = NetworkTraining(
        backbone="resnet-small", weights=None, trained=None, output_stride=16, frozen_stages=0, steps=steps, batch=32,
        crop=CROP, lr=3e-3, optimiser=AdamW(kind="adamw", weight_decay=0.01), warmup_steps=50, poly_power=0.9,
        average=0, check=None,
    )  # fmt: skip
    with seeded(SEED, "pretrain"):
        loss = FigureLoss(build_backbone(params.backbone, params.output_stride, None), params.lr)
    training = Training(
        loss=loss,
        items=items,
        sample=FigureSample(loss.backbone.to_input),
        params=params,
        steps=steps,
        run_seed=SEED,
        name="pretrain",
        label="pretrain",
        section="pretrain",
        unfinished=unfinished,
    )
    history, _ = train(training, Fabric(accelerator="cpu", devices=1))
    typer.echo(f"loss {np.mean([step.loss for step in history[-50:]]):.3f}")
    return loss.backbone


def write_weights(path: Path, backbone: Backbone) -> None:
    """Write the parameters by name, half as exact and half as large as they were learned."""
    state = {
        name: value.detach().half().contiguous()
        for name, value in backbone.state_dict().items()
        if value.is_floating_point()
    }
    write_atomic(path, lambda file: write_tensors(state, file))


def main(
    file: Annotated[Path, typer.Argument(help="File to write.")], pictures: int = PICTURES, steps: int = STEPS
) -> None:
    """Pre-train the demo's backbone on other made-up pictures."""
    with tempfile.TemporaryDirectory() as folder:
        write_weights(file, pretrained(portraits(pictures), steps, Path(folder) / "unfinished"))


if __name__ == "__main__":
    typer.run(main)
