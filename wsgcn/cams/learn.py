"""Learning the network of one CAM source as a job of the stage ``cams-train``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsgcn.cams.base import SeenFile
from wsgcn.cams.fit import train_classifier
from wsgcn.cams.net import CamNet
from wsgcn.nets.base import freeze_stages
from wsgcn.nets.build import backbone_class
from wsgcn.runtime.seeds import seeded
from wsgcn.store.photos import load_photo
from wsgcn.training.check import watched
from wsgcn.training.descent import TrainingLoss
from wsgcn.training.job import TrainingJob
from wsgcn.training.loop import Trained, fabric_for
from wsgcn.vocabulary import CAM_NETWORK

if TYPE_CHECKING:
    from wsgcn.cams.learned import LearnedCams

Source = TypeVar("Source", bound="LearnedCams")
Sample = Callable[[str, torch.Generator], tuple[Tensor, ...]]


def fit_once(source: LearnedCams, job: TrainingJob, unfinished: Path) -> tuple[CamNet, Trained]:
    """Train a source's network by its loss."""
    return fit_network(source, job, unfinished, loss=source.loss, sample=photo_sample(source, job))


def learn_cams(
    source: Source,
    job: TrainingJob,
    fit: Callable[[Source, TrainingJob, Path], tuple[CamNet, Trained]] = fit_once,
) -> None:
    """Train a source's network on image-level labels; write its checkpoint and history.

    Two sources with the same numbers have the same network: seeds and fingerprint know nothing of the source's
    name, so that the second takes the first one's. Imported weights (``trained``) are taken as they are.

    Args:
        source: whose network.
        job: photographs, seed, devices, files to write.
        fit: trains it; it is given the file in which the training is kept while it goes on.

    Raises:
        DataError: a photograph or a weight file is missing or broken.
        UsageError: a device is not there, or the loss is no longer finite.
    """
    classes = len(job.index.class_names)
    settings = source.settings(classes)
    if source.train.trained is not None:
        net = source.network(classes, pretrained=False)
        job.take_imported(source.train.trained, CAM_NETWORK, settings, net)
        return

    def learn(unfinished: Path) -> None:
        net, trained = fit(source, job, unfinished)
        job.save(CAM_NETWORK, settings, net, trained)

    job.train_once(network_mark(source, job), learn)


def network_mark(source: LearnedCams, job: TrainingJob) -> str:
    """Fingerprint of the network that a source learns."""
    settings = {"name": "cams-train", "kind": source.kind, "classes": len(job.index.class_names)}
    settings |= source.train.fingerprinted()
    return job.fingerprint(settings, [Path(one) for one in source.train.files()])


def photo_sample(source: LearnedCams, job: TrainingJob) -> Sample:
    """What makes the samples of the job's photographs."""
    class_ids = {image.id: image.class_ids for image in job.images}
    check, to_input = source.train.check, backbone_class(source.train.backbone).to_input
    trains = class_ids if check is None else watched(class_ids, check, job.runtime.seed)[0]
    load = partial(_load_by_id, {image.id: (job.index.photo_path(image), image.shrunk) for image in job.images})
    return source.sample(class_ids, load, len(job.index.class_names) - 1, to_input, trains)


def fit_network(
    source: LearnedCams,
    job: TrainingJob,
    unfinished: Path,
    *,
    loss: Callable[[CamNet], TrainingLoss],
    sample: Sample,
    name: str = "cams-train",
    label: str = "",
    until: int | None = None,
) -> tuple[CamNet, Trained]:
    """Train a new network of a source.

    Args:
        source: whose network.
        job: photographs, seed, devices.
        unfinished: file in which the training is kept while it goes on.
        loss: a network with what it minimises.
        sample: makes the tensors of one image id; picklable, for several devices.
        name: of the training, part of every seed.
        label: added to the job's before the progress bar.
        until: updates after which it ends, if these are fewer than the source's; None = all.
    """
    seed, fabric = job.runtime.seed, fabric_for(job.runtime)
    with seeded(seed, "cams"):
        net = source.network(len(job.index.class_names), pretrained=True)
        objective = loss(net)
    freeze_stages(net.backbone, source.train.frozen_stages)
    trained = train_classifier(
        objective,
        sample,
        [image.id for image in job.images],
        source.train,
        seed,
        fabric,
        name=name,
        label=job.label + label,
        section=job.section,
        unfinished=unfinished,
        until=until,
    )
    return net, trained


def _load_by_id(photos: Mapping[str, SeenFile], image_id: str) -> NDArray[np.uint8]:
    """The ``(H, W, 3)`` uint8 photograph of an image id."""
    return load_photo(*photos[image_id])
