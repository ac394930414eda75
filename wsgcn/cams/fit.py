"""Training the multi-label classifier on image-level labels."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsgcn.cams.net import CamNet
from wsgcn.nets.base import freeze_norms
from wsgcn.sections import step_count
from wsgcn.training.augment import ToInput, jittered, random_crop
from wsgcn.training.check import Measured
from wsgcn.training.descent import TrainingLoss
from wsgcn.training.loop import Trained, Training, train
from wsgcn.training.optimiser import ParameterGroup
from wsgcn.training.tags import answers, measured_answers, multi_hot, multi_label_loss

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from wsgcn.cams.learned import ClassifierTraining


class ClassifierLoss(TrainingLoss):
    """A classifier with the multi-label cross-entropy."""

    def __init__(self, net: CamNet, params: ClassifierTraining):
        super().__init__()
        self.net = net.train()
        self.params = params
        freeze_norms(net, params.freeze_norm)

    def groups(self) -> list[ParameterGroup]:
        """The backbone and the classifier, which learns ``head_lr_factor`` times faster."""
        return [
            {"params": list(self.net.backbone.parameters()), "lr": self.params.lr},
            {"params": list(self.net.classifier.parameters()), "lr": self.params.lr * self.params.head_lr_factor},
        ]

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """Loss of ``(B, 3, H, W)`` photographs whose classes are :func:`multi_hot`, ``(B, C-1)``."""
        return multi_label_loss(self.net(x), target)

    def counts(self, batch: Sequence[Tensor]) -> Tensor:
        """The :func:`answers` about each class, ``(C-1, 5)``."""
        x, target = batch
        return answers(self.net(x), target)

    def measured(self, counts: Tensor) -> Measured:
        """The mean cross-entropy, and the mean over the classes of both recalls: of photographs with and without."""
        return measured_answers(counts)


@dataclass(frozen=True)
class ClassifierSample:
    """Makes a random crop of a photograph, ``(3, crop, crop)``, and the vector of its classes, ``(C-1,)``."""

    class_ids: Mapping[str, Sequence[int]]
    load: Callable[[str], NDArray[np.uint8]]
    params: ClassifierTraining
    foreground_classes: int
    to_input: ToInput

    def __call__(self, image_id: str, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The crop that the generator draws."""
        rgb_u8 = jittered(self.load(image_id), self.params.jitter, generator)
        scales = scale_range(self.params, max(rgb_u8.shape))
        crop, _ = random_crop(
            rgb_u8, None, self.params.crop, scales, generator, self.to_input, self.params.interpolation
        )
        return crop, multi_hot(self.class_ids[image_id], self.foreground_classes)


def train_classifier(
    loss: TrainingLoss,
    sample: Callable[[str, torch.Generator], tuple[Tensor, ...]],
    image_ids: Collection[str],
    params: ClassifierTraining,
    run_seed: int,
    fabric: Fabric,
    *,
    name: str,
    label: str,
    section: str,
    unfinished: Path,
    until: int | None = None,
) -> Trained:
    """Minimise a loss over random crops of the photographs; its network is changed in place.

    Args:
        loss: the network and its loss.
        sample: makes the tensors of one image id; picklable, for several devices.
        image_ids: the photographs.
        params: steps, batch, crop, rates.
        run_seed: seed of the run.
        fabric: the devices that train.
        name: of the training, part of every seed.
        label: text before the progress bar.
        section: of the parameters, for an error.
        unfinished: file in which the training is kept while it goes on.
        until: updates after which it ends, if these are fewer than ``params`` has; None = all.

    Returns:
        Every update, with the learning rate of the backbone, and what was measured.

    Raises:
        WsgcnError: a photograph could not be loaded.
        UsageError: the loss is no longer finite, or the memory of a device is too small.
    """
    training = Training(
        loss=loss,
        items={one: one for one in image_ids},
        sample=sample,
        params=params,
        steps=step_count(params.steps, len(image_ids), params.batch),
        run_seed=run_seed,
        name=name,
        label=label,
        section=section,
        unfinished=unfinished,
        check=params.check,
        until=until,
    )
    return train(training, fabric)


def scale_range(params: ClassifierTraining, long_side: int) -> tuple[float, float]:
    """The range of the random factor for a photograph whose longer side has so many pixels."""
    if params.scale is not None:
        return params.scale
    assert params.long_side is not None  # one of both is given
    low, high = params.long_side
    return low / long_side, high / long_side
