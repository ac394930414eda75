"""Stage ``segtrain``: DeepLabv2, trained on the pseudo labels of one method."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsgcn.errors import DataError
from wsgcn.nets.deeplab import NETWORK, DeepLabV2, build_deeplab
from wsgcn.runtime.progress import LogMetrics
from wsgcn.runtime.seeds import seeded
from wsgcn.segtrain.fit import SegmentationObjective
from wsgcn.store.checkpoints import load_checkpoint, load_part, save_checkpoint
from wsgcn.store.files import HISTORY, write_table
from wsgcn.store.index import ImageRecord, Index, load_index
from wsgcn.store.label_maps import load_label_map
from wsgcn.store.photos import load_photo, photo_size
from wsgcn.training.augment import random_view
from wsgcn.training.loop import Step, Training, fabric_for, train
from wsgcn.vocabulary import IGNORE

if TYPE_CHECKING:
    from wsgcn.params import Params
    from wsgcn.store.paths import Artifacts
    from wsgcn.vocabulary import Method

LOG_EVERY = 10
"""Steps behind one row of the history."""


def run(params: Params, artifacts: Artifacts, method: Method, log: LogMetrics) -> None:
    """Train on the training split's pseudo labels; write the checkpoint and the history when all is done.

    New weights and views depend on the run's seed alone, so that methods are compared on equal terms; with
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
    index = load_index(artifacts.index)
    settings = {
        "backbone": params.segtrain.backbone,
        "output_stride": params.segtrain.output_stride,
        "classes": len(index.class_names),
        "dilations": list(params.segtrain.aspp_dilations),
    }
    if params.segtrain.trained is not None:
        network = build_deeplab(settings, None)
        load_checkpoint(Path(params.segtrain.trained), NETWORK, settings, network)
        _save(artifacts, method, settings, network, [])
        return
    images = {image.id: image for image in index.split(params.dataset.train_split)}
    _check_labels(images.values(), artifacts, method)
    fabric = fabric_for(params.runtime)
    network = _new_network(settings, params, artifacts, method)
    training = Training(
        objective=SegmentationObjective(network, params.segtrain),
        items=images,
        sample=partial(_view, index=index, artifacts=artifacts, method=method, params=params),
        params=params.segtrain,
        steps=params.segtrain.iterations,
        accumulate=params.segtrain.accumulate,
        run_seed=params.runtime.seed,
        name=NETWORK,
        label=f"segtrain {method.name}",
        section="segtrain",
    )
    history = _History(training.steps, log)
    train(training, fabric, history.add)
    _save(artifacts, method, settings, network, history.rows)


def _save(
    artifacts: Artifacts,
    method: Method,
    settings: Mapping[str, object],
    network: DeepLabV2,
    rows: Iterable[tuple[int, float, float]],
) -> None:
    write_table(artifacts.history(NETWORK, method.name), HISTORY, rows)
    save_checkpoint(artifacts.checkpoint(NETWORK, method.name), NETWORK, settings, network)


def _check_labels(images: Iterable[ImageRecord], artifacts: Artifacts, method: Method) -> None:
    """Look at every pseudo label's header before an hour of training rather than in the middle of it."""
    paths = {image: artifacts.label_map("crf", method.name, image.id) for image in images}
    missing = [path for path in paths.values() if not path.is_file()]
    if missing:
        command = f"wsgcn crf --variant {method.variant} --propagation {method.propagation}"
        raise DataError(
            f"{len(missing)} of {len(paths)} pseudo labels are missing, such as {missing[0]}: run `{command}`"
        )
    for image, path in paths.items():
        if photo_size(path) != (image.height, image.width):
            height, width = photo_size(path)
            raise DataError(
                f"{path} has {height} x {width} pixels, its photograph {image.height} x {image.width}: "
                "delete it and run `wsgcn crf` again"
            )


def _new_network(settings: Mapping[str, object], params: Params, artifacts: Artifacts, method: Method) -> DeepLabV2:
    from_cams = params.segtrain.weights == "cams"
    with seeded(params.runtime.seed, NETWORK):
        network = build_deeplab(settings, None if from_cams else params.segtrain.weights)
    if from_cams:
        load_part(artifacts.checkpoint("cams-train", method.variant), "cams", "backbone.", network.backbone)
    return network


def _view(
    image: ImageRecord,
    generator: torch.Generator,
    *,
    index: Index,
    artifacts: Artifacts,
    method: Method,
    params: Params,
) -> tuple[Tensor, Tensor]:
    """``(3, crop, crop)`` photograph and ``(crop, crop)`` labels of a random view."""
    photo = load_photo(index.photo_path(image))
    path = artifacts.label_map("crf", method.name, image.id)
    labels = load_label_map(path)
    if photo.shape[:2] != labels.shape:
        raise DataError(f"{index.photo_path(image)} has changed since `wsgcn dataset` read it: run all stages again")
    _check_ids(labels, len(index.class_names), str(path))
    return random_view(photo, labels, params.segtrain.crop, params.segtrain.scale, generator)


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
