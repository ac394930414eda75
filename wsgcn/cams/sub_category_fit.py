"""The rounds of a classifier with sub-categories: its loss, its samples, and how a killed training goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wsgcn.cams.clusters import sub_categories
from wsgcn.cams.fit import ClassifierLoss
from wsgcn.cams.learn import Sample, fit_network, network_mark, photo_sample
from wsgcn.cams.net import DRAW, CamNet
from wsgcn.errors import UsageError
from wsgcn.nets.base import on_device
from wsgcn.runtime.devices import pick_device
from wsgcn.runtime.progress import progress_bar
from wsgcn.sections import step_count
from wsgcn.store.checkpoints import load_part, read_unfinished, save_unfinished
from wsgcn.store.photos import load_photo
from wsgcn.training.check import Measured
from wsgcn.training.descent import Step
from wsgcn.training.job import TrainingJob
from wsgcn.training.loop import Trained
from wsgcn.training.optimiser import ParameterGroup
from wsgcn.training.tags import answers, multi_hot, multi_label_loss
from wsgcn.vocabulary import CAM_NETWORK

if TYPE_CHECKING:
    from wsgcn.cams.sub_category import SubCategory, SubCategoryTraining


class SubCategoryLoss(ClassifierLoss):
    """A classifier and a second layer beside its own, with the cross-entropies of classes and of sub-categories.

    Source: ``train_cls.py`` of the public SC-CAM (Chang et al., CVPR 2020), whose means are over the 20 classes and
    over the 200 sub-categories.
    """

    def __init__(self, net: CamNet, params: SubCategoryTraining):
        super().__init__(net, params)
        classifier = net.classifier
        self.weight = params.sub_category_weight
        self.sub_classifier = nn.Conv2d(
            classifier.in_channels, classifier.out_channels * params.clusters, 1, bias=False
        )  # fmt: skip
        DRAW[params.head_init](self.sub_classifier.weight)

    def groups(self) -> list[ParameterGroup]:
        """Both layers learn at the classifier's rate."""
        backbone, classifier = super().groups()
        return [backbone, {**classifier, "params": [*classifier["params"], *self.sub_classifier.parameters()]}]

    def forward(self, x: Tensor, target: Tensor, sub_target: Tensor) -> Tensor:  # type: ignore[override]
        """Loss of ``(B, 3, H, W)`` photographs, their classes ``(B, C-1)`` and sub-categories ``(B, (C-1)·k)``."""
        logits, sub_logits = self._logits(x)
        return multi_label_loss(logits, target) + self.weight * multi_label_loss(sub_logits, sub_target)

    def counts(self, batch: Sequence[Tensor]) -> Tensor:
        """The answers about each class and, below them, about each sub-category, ``((C-1)·(1+k), 5)``."""
        x, *targets = batch
        return torch.cat([answers(logits, target) for logits, target in zip(self._logits(x), targets, strict=True)])

    def measured(self, counts: Tensor) -> Measured:
        """The loss as it is trained; the balanced accuracy is that of the classes."""
        classes = self.net.classifier.out_channels
        found, sub_found = super().measured(counts[:classes]), super().measured(counts[classes:])
        return found._replace(loss=found.loss + self.weight * sub_found.loss)

    def _logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.net.pooled(x)
        return self.net.classifier(features).flatten(1), self.sub_classifier(features).flatten(1)


@dataclass(frozen=True)
class SubCategorySample:
    """Adds to a crop and its classes the vector of the photograph's sub-categories.

    Attributes:
        crop: makes the crop and the vector of classes.
        found: numbers of the sub-categories of each photograph, from 1 on.
        count: of all sub-categories.
    """

    crop: Sample
    found: Mapping[str, Sequence[int]]
    count: int

    def __call__(self, image_id: str, generator: torch.Generator) -> tuple[Tensor, ...]:
        """The crop that the generator draws."""
        return *self.crop(image_id, generator), multi_hot(self.found[image_id], self.count)


class Explored(NamedTuple):
    """What a round leaves to the next one: all updates so far, and each photograph's sub-categories."""

    history: list[Step]
    found: dict[str, list[int]]


def fit_rounds(source: SubCategory, job: TrainingJob, unfinished: Path) -> tuple[CamNet, Trained]:
    """Train a new network for each round, on the sub-categories that the one before it tells apart.

    What a finished round found is kept under the fingerprint of all that led to it, so that a training that was killed
    does not repeat it.

    Args:
        source: parameters of the rounds.
        job: photographs, seed, devices.
        unfinished: file in which the last round's training is kept while it goes on.

    Returns:
        The last round's network, with the updates of all rounds, and what was measured of the last one.

    Raises:
        UsageError: a round is longer than all steps, the device is not there, or the loss is no longer finite.
    """
    if too_long := source.train.longer_than_steps(len(job.images), source.train.rounds):
        raise UsageError(f"{job.section}.{too_long}")
    explored = Explored([], {})
    for done in range(len(source.train.rounds)):
        explored = _explored(source, job, done, explored)
    net, trained = _fit_round(source, job, len(source.train.rounds), explored.found, unfinished)
    before = {"updates": len(explored.history), "kept": len(explored.history)}
    learned = {name: one + before[name] if name in before else one for name, one in trained.learned.items()}
    return net, Trained(_joined(explored.history, trained.history), learned)


def _explored(source: SubCategory, job: TrainingJob, done: int, before: Explored) -> Explored:
    """The sub-categories by the network after so many rounds; with none, by the first classifier."""
    train = source.train.model_copy(update={"rounds": source.train.rounds[:done]})
    mark = network_mark(source.model_copy(update={"train": train}), job)
    name = f"{mark}-sub-categories"
    file = job.finished.unfinished(name)
    job.finished.take(name, file)
    state = read_unfinished(file)
    if state is None:
        unfinished = job.finished.unfinished(mark)
        net, trained = _fit_round(source, job, done, before.found, unfinished)
        history, found = _joined(before.history, trained.history), _found(source, job, net, done + 1)
        state = {"history": [[*step[:3]] for step in history], "found": found}
        save_unfinished(file, state)
        unfinished.unlink(missing_ok=True)
    job.finished.keep(name, file, 0)
    file.unlink(missing_ok=True)
    return Explored([Step(*step) for step in state["history"]], state["found"])


def _joined(history: Sequence[Step], more: Sequence[Step]) -> list[Step]:
    """The updates of two trainings, numbered one after the other."""
    return [step._replace(number=number) for number, step in enumerate([*history, *more])]


def _fit_round(
    source: SubCategory, job: TrainingJob, number: int, found: Mapping[str, Sequence[int]], unfinished: Path
) -> tuple[CamNet, Trained]:
    """Train the network of a round; that of round 0, before the first, tells classes alone, or is ready."""
    params = source.train
    rounds = len(params.rounds)
    train = partial(fit_network, source, job, unfinished, name=f"cams-train {number}")
    crop = photo_sample(source, job)
    if number > 0:
        sample = SubCategorySample(crop, found, (len(job.index.class_names) - 1) * params.clusters)
        until = step_count(params.rounds[number - 1], len(job.images), params.batch)
        return train(loss=source.loss, sample=sample, until=until, label=f", round {number} of {rounds}")
    if params.first is None:
        return train(
            loss=lambda net: ClassifierLoss(net, params), sample=crop, label=f", before {rounds} rounds"
        )  # fmt: skip
    net = source.network(len(job.index.class_names), pretrained=False)
    load_part(Path(params.first), CAM_NETWORK, "backbone.", net.backbone)
    return net, Trained([], {})


def _found(source: SubCategory, job: TrainingJob, net: CamNet, round_number: int) -> dict[str, list[int]]:
    """Sub-categories of each photograph, by image id, by the features of a network."""
    features = []
    device = pick_device(job.runtime.device)
    on_device(net, device).eval()
    with progress_bar(f"{job.label}, sub-categories for round {round_number}", len(job.images)) as advance:
        for image in job.images:
            features.append(photo_features(net, job.index.photo_path(image), device, image.shrunk))
            advance()
    class_ids = [image.class_ids for image in job.images]
    found = sub_categories(
        np.stack(features),
        class_ids,
        len(job.index.class_names) - 1,
        source.train.clusters,
        job.runtime.seed,
        round_number,
    )
    return dict(zip((image.id for image in job.images), found, strict=True))


def photo_features(
    net: CamNet, photo: Path, device: torch.device, shrunk: tuple[int, int] | None = None
) -> NDArray[np.float32]:
    """The mean features ``(F,)`` of a whole photograph, by a network in evaluation.

    Raises:
        DataError: the photograph is missing or broken.

    Source: ``extract_feature.py`` of the public SC-CAM: one scale, not mirrored.
    """
    x = net.backbone.to_input(load_photo(photo, shrunk)).to(device)[None]
    with torch.inference_mode():
        return np.asarray(net.pooled(x).flatten().float().cpu().numpy())
