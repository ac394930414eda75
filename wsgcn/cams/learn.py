"""Learning the network of one CAM source as a job of the stage ``cams-train``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wsgcn.cams.fit import train_classifier
from wsgcn.nets.base import freeze_stages
from wsgcn.runtime.seeds import seeded
from wsgcn.store.photos import load_photo
from wsgcn.training.job import TrainingJob
from wsgcn.training.loop import fabric_for
from wsgcn.vocabulary import CAM_NETWORK

if TYPE_CHECKING:
    from wsgcn.cams.learned import LearnedCams


def learn_cams(source: LearnedCams, job: TrainingJob) -> None:
    """Train a source's network on image-level labels; write its checkpoint and history.

    Two sources with the same numbers have the same network: seeds and fingerprint know nothing of the source's
    name, so that the second takes the first one's. Imported weights (``trained``) are taken as they are.

    Raises:
        DataError: a photograph or a weight file is missing or broken.
        UsageError: a device is not there, or the loss is no longer finite.
    """
    params, classes = source.train, len(job.index.class_names)
    settings = source.settings(classes)
    if params.trained is not None:
        net = source.network(classes, pretrained=False)
        job.take_imported(params.trained, CAM_NETWORK, settings, net)
        return

    def learn(unfinished: Path) -> None:
        seed, fabric = job.runtime.seed, fabric_for(job.runtime)
        with seeded(seed, "cams"):
            net = source.network(classes, pretrained=True)
        freeze_stages(net.backbone, params.frozen_stages)
        class_ids = {image.id: image.class_ids for image in job.images}
        sample = source.sample(class_ids, partial(_load_photo, job.photos), classes - 1, net.backbone.to_input)
        trained = train_classifier(
            source.loss(net),
            sample,
            class_ids,
            params,
            seed,
            fabric,
            name="cams-train",
            label=job.label,
            section=job.section,
            unfinished=unfinished,
        )
        job.save(CAM_NETWORK, settings, net, trained)

    weights = [] if params.weights is None else [Path(params.weights)]
    numbers = params.model_dump(mode="json", exclude={"weights", "trained"})
    job.train_once(
        job.fingerprint({"name": "cams-train", "kind": source.kind, "classes": classes, **numbers}, weights), learn
    )


def _load_photo(photos: Mapping[str, Path], image_id: str) -> NDArray[np.uint8]:
    return load_photo(photos[image_id])
