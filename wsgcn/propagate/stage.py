"""Stage ``propagate``: from CAMs and affinity graphs to scores, by the per-image GCN or by the random walk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from wsgcn.errors import DataError, UsageError, WsgcnError
from wsgcn.ops.resize import downscale_rgb, to_class_ids
from wsgcn.propagate.graph import Sparse, adjacency
from wsgcn.propagate.image import Photograph, gcn_scores
from wsgcn.propagate.walk import random_walk_scores
from wsgcn.runtime.devices import pick_device
from wsgcn.runtime.per_image import make_files
from wsgcn.runtime.progress import LogMetrics
from wsgcn.runtime.seeds import generator_for
from wsgcn.store.files import write_table
from wsgcn.store.fingerprints import file_digest, fingerprint, read_fingerprint, require_fingerprint
from wsgcn.store.index import ImageRecord, load_index
from wsgcn.store.paths import Artifacts
from wsgcn.store.photos import load_photo
from wsgcn.store.records import Affinity, Cams, Scores, load_record, save_record
from wsgcn.vocabulary import IGNORE, LOSS_NAMES, Method

if TYPE_CHECKING:
    from wsgcn.params import Params, Propagate


GPU_PIXELS = 2**22
"""Pixels of the photographs that one worker gives to a GPU at once: 22 of 375 × 500, reckoned at 2 GB there."""


def run(params: Params, artifacts: Artifacts, method: Method, log: LogMetrics) -> None:
    """Write ``propagate/<method>/<id>.npz`` for every training photograph that lacks an up-to-date one.

    The GCN's per-image losses go into ``<method>.losses.csv`` and, as they come, to ``log`` over the image's position.
    """
    index = load_index(artifacts.index)
    images = index.split(params.dataset.train_split)
    position = {image.id: number for number, image in enumerate(images)}
    gcn = method.propagation == "gcn"
    make = MakeScores(
        artifacts=artifacts,
        root=index.root,
        method=method,
        params=params.propagate,
        run_seed=params.runtime.seed,
        device=str(pick_device(params.runtime.device) if gcn else "cpu"),
    )

    # A GPU wants many images at once; a CPU gains nothing, and gives the same bits for any order when each is alone.
    groups = None if make.device == "cpu" else _groups(images, GPU_PIXELS)

    def finished(image_id: str) -> None:
        if gcn:
            log({f"gcn_{name}": value for name, value in make.losses(image_id).items()}, position[image_id])

    make_files(
        make,
        images,
        artifacts=artifacts,
        stage="propagate",
        name=method.name,
        suffix=".npz",
        workers=params.runtime.workers,
        finished=finished,
        groups=groups,
    )
    rows = [[image.id, *make.losses(image.id).values()] for image in images] if gcn else []
    write_table(artifacts.losses(method.name), ("id", *LOSS_NAMES), rows)


def _groups(images: Sequence[ImageRecord], pixels: int) -> list[list[ImageRecord]]:
    """Photographs of similar size, as many together as ``pixels`` allow when each is padded to the largest."""
    groups: list[list[ImageRecord]] = []
    for image in sorted(images, key=lambda image: image.height * image.width, reverse=True):
        if groups and (len(groups[-1]) + 1) * groups[-1][0].height * groups[-1][0].width <= pixels:
            groups[-1].append(image)
        else:
            groups.append([image])
    return groups


@dataclass(frozen=True)
class _Task:
    """One image that is to be made.

    Attributes:
        image_id: its id.
        mark: fingerprint of its file.
        cams: its class activation maps.
        affinity: its graph and node features.
        rgb_u8: ``(h, w, 3)`` at the grid's resolution.
    """

    image_id: str
    mark: str
    cams: Cams
    affinity: Affinity
    rgb_u8: NDArray[np.uint8]

    @property
    def class_ids(self) -> NDArray[np.int64]:
        """``(K,)``, background first."""
        return np.concatenate([[0], self.cams.class_ids]).astype(np.int64)

    @property
    def boundary(self) -> NDArray[np.float32]:
        """``(h, w)``."""
        return self.affinity.boundary.astype(np.float32)

    @property
    def graph(self) -> Sparse:
        """The affinity matrix A."""
        return adjacency(self.affinity.offsets, self.affinity.weights.astype(np.float32))


@dataclass(frozen=True)
class MakeScores:
    """Loads one image's CAMs, graph and photograph, propagates, saves; several images together on a GPU."""

    artifacts: Artifacts
    root: str
    method: Method
    params: Propagate
    run_seed: int
    device: str

    def __call__(self, image: ImageRecord) -> bool:
        """Make one image's file; False where it is up to date."""
        (outcome,) = self.together([image])
        if isinstance(outcome, WsgcnError):
            raise outcome
        return outcome

    def together(self, images: Sequence[ImageRecord]) -> list[bool | WsgcnError]:
        """The same for several images at once; a broken one is an error in its place, and the others are made."""
        outcomes: list[bool | WsgcnError] = []
        tasks = []
        for image in images:
            try:
                task = self._load(image)
            except WsgcnError as error:
                outcomes.append(error)
                continue
            outcomes.append(task is not None)
            if task is not None:
                tasks.append(task)
        for task, scores in zip(tasks, self._propagate(tasks)):
            save_record(self._path(task.image_id), scores, task.mark)
        return outcomes

    def losses(self, image_id: str) -> dict[str, float]:
        """The losses at the last step of an image that has been made, by name."""
        record = load_record(self.artifacts.arrays("propagate", self.method.name, image_id), Scores)
        return dict(zip(LOSS_NAMES, record.losses[-1].tolist()))

    def _settings(self) -> list[dict[str, Any]]:
        # The GCN borrows the transition of its variant's walk, never the background, and the walk nothing of the GCN.
        walk = self.params.random_walk.walk(self.method.variant)
        if self.method.propagation == "random-walk":
            return [walk.model_dump()]
        labels = self.params.partial_labels
        return [
            self.params.model_dump(exclude={"random_walk", "partial_labels"}),
            labels.model_dump(exclude={"I", "P"}),
            labels.source(self.method.variant).model_dump(),
            {"beta": walk.beta, "log2_steps": walk.log2_steps, "seed": self.run_seed},
        ]

    def _path(self, image_id: str) -> Path:
        return self.artifacts.arrays("propagate", self.method.name, image_id)

    def _load(self, image: ImageRecord) -> _Task | None:
        """Read everything that an image needs; None where its file is up to date."""
        variant = self.method.variant
        cams_path = self.artifacts.arrays("cams", variant, image.id)
        affinity_path = self.artifacts.arrays("affinity", variant, image.id)
        photo = Path(self.root) / image.photo
        inputs = [require_fingerprint(cams_path), require_fingerprint(affinity_path), file_digest(photo)]
        mark = fingerprint("propagate", self._settings(), inputs)
        if read_fingerprint(self._path(image.id)) == mark:
            return None
        cams, affinity = load_record(cams_path, Cams), load_record(affinity_path, Affinity)
        grid = (affinity.weights.shape[1], affinity.weights.shape[2])
        if cams.cams.shape[1:] != grid:
            raise DataError(
                f"{cams_path} has the grid {cams.cams.shape[1:]}, {affinity_path} has {grid}: make both again"
            )
        return _Task(image.id, mark, cams, affinity, downscale_rgb(load_photo(photo), grid))

    def _propagate(self, tasks: Sequence[_Task]) -> list[Scores]:
        if self.method.propagation == "random-walk":
            return [self._walk(task) for task in tasks]
        if not tasks:
            return []
        photographs = [
            Photograph(
                cams=task.cams.cams,
                boundary=task.boundary,
                features=task.affinity.features.astype(np.float32),
                graph=task.graph,
                rgb_u8=task.rgb_u8,
                generator=generator_for(self.run_seed, self.method.name, task.image_id),
            )
            for task in tasks
        ]
        try:
            results = gcn_scores(photographs, self.params, self.method.variant, torch.device(self.device))
        except torch.OutOfMemoryError as error:
            raise UsageError(
                "the GPU has not enough memory for all workers: choose fewer runtime.workers, or runtime.device: cpu"
            ) from error
        return [
            Scores(task.class_ids, result.probs, to_class_ids(result.labels, task.class_ids), result.losses)
            for task, result in zip(tasks, results)
        ]

    def _walk(self, task: _Task) -> Scores:
        walk = self.params.random_walk.walk(self.method.variant)
        scores = random_walk_scores(task.cams.cams, task.boundary, task.graph, walk)
        unlabelled = np.full(scores.shape[1:], IGNORE, dtype=np.uint8)
        return Scores(task.class_ids, scores, unlabelled, np.empty((0, len(LOSS_NAMES)), dtype=np.float32))
