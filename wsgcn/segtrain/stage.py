"""Stage ``segtrain``: DeepLabv2, trained on the pseudo labels of one method."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsgcn.errors import DataError
from wsgcn.nets.base import freeze_stages
from wsgcn.nets.deeplab import NETWORK, DeepLabV2, build_deeplab
from wsgcn.runtime.progress import LogMetrics
from wsgcn.runtime.seeds import seeded
from wsgcn.sections import step_count
from wsgcn.segtrain.fit import SegmentationLoss
from wsgcn.stages import stage_code
from wsgcn.store.checkpoints import load_part
from wsgcn.store.finished import FinishedWork
from wsgcn.store.index import ImageRecord, Index, load_index
from wsgcn.store.label_maps import load_label_map
from wsgcn.store.photos import load_photo, photo_size
from wsgcn.training.augment import ToInput, random_crop
from wsgcn.training.job import TrainingJob
from wsgcn.training.loop import Step, Training, fabric_for, train
from wsgcn.vocabulary import IGNORE

if TYPE_CHECKING:
    from wsgcn.params import Method, Params
    from wsgcn.segtrain.section import Segtrain
    from wsgcn.store.paths import Artifacts

LOG_EVERY = 10
"""Steps behind one row of the history."""


def train_segmentation(params: Params, artifacts: Artifacts, method: Method, log: LogMetrics) -> None:
    """Train on the training split's pseudo labels; write the checkpoint and the history when all is done.

    New weights and crops depend on the run's seed alone, so that methods are compared on equal terms; with
    ``weights: cams`` the backbone starts as the variant's classifier left it. An imported network (``trained``) is
    taken as it is, with an empty history.

    Args:
        params: the whole of ``params.yaml``.
        artifacts: where files lie.
        method: whose pseudo labels to learn.
        log: takes ``seg_loss`` (mean over the last ten steps) and ``seg_lr`` with the step, while training.

    Raises:
        DataError: a pseudo label or photograph is missing or broken, or the two differ in size, or the weights to
            start from are missing or another network's.
        UsageError: the device is not there, or the loss is no longer finite.
    """
    index, settings = load_index(artifacts.index), params.segtrain
    job = TrainingJob(
        index=index,
        images=index.split(params.dataset.train_split),
        runtime=params.runtime,
        finished=FinishedWork(Path(params.runtime.store)),
        code=stage_code(params, "segtrain", method.name),
        checkpoint=artifacts.checkpoint(NETWORK, method.name),
        history=artifacts.history(NETWORK, method.name),
        section=NETWORK,
        label=f"segtrain {method.name}",
    )
    structure = network_structure(settings, len(index.class_names))
    if settings.trained is not None:
        job.take_imported(settings.trained, NETWORK, structure, build_deeplab(structure, None))
        return
    start = artifacts.checkpoint("cams-train", method.variant.name)
    _check_labels(job.images, artifacts, method)

    def learn(unfinished: Path) -> None:
        network = _new_network(structure, settings, params.runtime.seed, start)
        training = _training(job, network, settings, artifacts.folder("crf", method.name), unfinished)
        history = _History(training.steps, log)
        train(training, fabric_for(params.runtime), history.add)
        job.save(NETWORK, structure, network, history.rows)

    files = [] if settings.weights is None else [start if settings.weights == "cams" else Path(settings.weights)]
    labels = [artifacts.label_map("crf", method.name, image.id) for image in job.images]
    numbers = settings.model_dump(mode="json", exclude={"weights", "trained"})
    mark = job.fingerprint({"name": NETWORK, "structure": structure, **numbers}, [*files, *labels])
    job.train_once(mark, learn)


def network_structure(params: Segtrain, classes: int) -> dict[str, Any]:
    """What decides the network's structure, to be kept in the checkpoint."""
    return {
        "backbone": params.backbone,
        "output_stride": params.output_stride,
        "classes": classes,
        "dilations": list(params.aspp_dilations),
    }


def _training(
    job: TrainingJob, network: DeepLabV2, params: Segtrain, labels: Path, unfinished: Path
) -> Training[ImageRecord]:
    return Training(
        loss=SegmentationLoss(network, params),
        items={image.id: image for image in job.images},
        sample=SegmentationSample(
            index=job.index,
            labels=labels,
            crop=params.crop,
            scale=params.scale,
            to_input=network.backbone.to_input,
        ),
        params=params,
        steps=step_count(params.steps, len(job.images), params.batch * params.accumulate),
        accumulate=params.accumulate,
        run_seed=job.runtime.seed,
        name=NETWORK,
        label=job.label,
        section=job.section,
        unfinished=unfinished,
    )


def _check_labels(images: Iterable[ImageRecord], artifacts: Artifacts, method: Method) -> None:
    """Look at every pseudo label's header before an hour of training rather than in the middle of it."""
    paths = {image: artifacts.label_map("crf", method.name, image.id) for image in images}
    missing = [path for path in paths.values() if not path.is_file()]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(paths)} pseudo labels are missing, such as {missing[0]}: "
            f"run `wsgcn crf --method {method.name}`"
        )
    for image, path in paths.items():
        if photo_size(path) != (image.height, image.width):
            height, width = photo_size(path)
            raise DataError(
                f"{path} has {height} x {width} pixels, its photograph {image.height} x {image.width}: "
                "delete it and run `wsgcn crf` again"
            )


def _new_network(structure: Mapping[str, Any], params: Segtrain, run_seed: int, start: Path) -> DeepLabV2:
    from_cams = params.weights == "cams"
    with seeded(run_seed, NETWORK):
        network = build_deeplab(structure, None if from_cams else params.weights)
    if from_cams:
        load_part(start, "cams", "backbone.", network.backbone)
    freeze_stages(network.backbone, params.frozen_stages)
    return network


@dataclass(frozen=True)
class SegmentationSample:
    """Makes a random crop of a photograph, ``(3, crop, crop)``, and of its pseudo labels, ``(crop, crop)``."""

    index: Index
    labels: Path
    crop: int
    scale: tuple[float, float]
    to_input: ToInput

    def __call__(self, image: ImageRecord, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The crop that the generator draws."""
        photo = load_photo(self.index.photo_path(image))
        path = self.labels / f"{image.id}.png"
        labels = load_label_map(path)
        if photo.shape[:2] != labels.shape:
            changed = self.index.photo_path(image)
            raise DataError(f"{changed} has changed since `wsgcn dataset` read it: run all stages again")
        _check_ids(labels, len(self.index.class_names), str(path))
        return random_crop(photo, labels, self.crop, self.scale, generator, self.to_input)


def _check_ids(labels: NDArray[np.uint8], classes: int, name: str) -> None:
    unknown = np.setdiff1d(labels[labels >= classes], [IGNORE])
    if unknown.size:
        raise DataError(f"{name} holds class {unknown[0]}, but there are {classes} classes: run `wsgcn crf` again")


class _History:
    """A row for every ten updates: how many there were so far, their mean loss and the last one's rate."""

    def __init__(self, updates: int, log: LogMetrics):
        self.updates, self.log = updates, log
        self.rows: list[tuple[int, float, float]] = []
        self._losses: list[float] = []

    def add(self, step: Step) -> None:
        self._losses.append(step.loss)
        done = step.number + 1
        if done % LOG_EVERY == 0 or done == self.updates:
            loss = fmean(self._losses)
            self._losses.clear()
            self.log({"seg_loss": loss, "seg_lr": step.lr}, done)
            self.rows.append((done, loss, step.lr))
