"""The trainings of a project, a few updates long: seconds an update, and what these are spent on."""

from __future__ import annotations

import copy
import itertools
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from wsgcn.bench.networks import EntryNetwork
from wsgcn.nets.build import backbone_class
from wsgcn.store.photos import load_photo
from wsgcn.training.augment import random_crop
from wsgcn.training.descent import Descent, TrainingLoss
from wsgcn.training.loop import Training, fabric_for, train

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from wsgcn.params import Runtime

UPDATES = 8
"""Of one call: enough for the batches to be made beside the updates, as in a whole training."""


@dataclass(frozen=True)
class ShortTraining:
    """The training of one network with photographs of the project, and parts of one update; picklable.

    The labels are made up: what they show costs no time.

    Attributes:
        name: the entry's place in ``params.yaml``.
        network: what learns.
        photos: files.
        runtime: seed, device and precision.
    """

    name: str
    network: EntryNetwork
    photos: tuple[Path, ...]
    runtime: Runtime

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of a crop."""
        return self.network.params.crop, self.network.params.crop

    def updates(self) -> Callable[[], object]:
        """The call that trains for :data:`UPDATES` updates, with batches made meanwhile."""
        loss, fabric = self.network.build(self.size), fabric_for(self.runtime)

        def call() -> None:
            with tempfile.TemporaryDirectory() as folder:
                # A training leaves its network in evaluation mode, and `loss.train()` would switch frozen norms to
                # training too, so each call trains a copy.
                train(self._training(copy.deepcopy(loss), Path(folder) / "unfinished"), fabric)

        call()  # a first one makes what later ones have at hand
        return call

    def forward(self) -> Callable[[], object]:
        """The call of one batch's forward pass, with what its backward pass needs."""
        _, loss, batch = self._batch()
        loss(*batch)
        return lambda: loss(*batch)

    def passes(self) -> Callable[[], object]:
        """The call of one batch's forward and backward pass."""
        fabric, loss, batch = self._batch()
        fabric.backward(loss(*batch))
        return lambda: fabric.backward(loss(*batch))

    def loading(self) -> Callable[[], object]:
        """The call that makes one batch in this thread alone."""
        return self._samples

    def sample(self, photo: Path, generator: torch.Generator) -> tuple[Tensor, ...]:
        """A crop of a photograph with labels of its size, and what the network is to learn of it."""
        rgb_u8, to_input = load_photo(photo), backbone_class(self.network.params.backbone).to_input
        labels = np.zeros(rgb_u8.shape[:2], np.uint8)
        crop, _ = random_crop(rgb_u8, labels, self.network.params.crop, (1, 1), generator, to_input)
        return crop, *self.network.target(self.size)

    def _training(self, loss: TrainingLoss, unfinished: Path) -> Training[Path]:
        return Training(
            loss=loss,
            items={str(number): photo for number, photo in enumerate(self.photos)},
            sample=self.sample,
            params=self.network.params,
            steps=UPDATES,
            run_seed=self.runtime.seed,
            name="bench",
            label=self.name,
            section=self.name,
            unfinished=unfinished,
        )

    def _samples(self) -> list[tuple[Tensor, ...]]:
        photos = itertools.islice(itertools.cycle(self.photos), self.network.params.batch)
        return [self.sample(photo, torch.Generator().manual_seed(0)) for photo in photos]

    def _batch(self) -> tuple[Fabric, Callable[..., Tensor], list[Tensor]]:
        """The devices, the loss as it is in a training, and a batch."""
        loss, fabric = self.network.build(self.size), fabric_for(self.runtime)
        descent = Descent(loss, self.network.params, fabric=fabric, steps=UPDATES, section=self.name)
        return fabric, descent.loss_of, descent.to_device([torch.stack(part) for part in zip(*self._samples())])
