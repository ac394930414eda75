"""Stage ``propagate``: from CAMs and affinity graphs to scores, by the per-image GCN or by the random walk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wsgcn.artifacts import (
    Affinity,
    Artifacts,
    Cams,
    ImageRecord,
    Scores,
    file_digest,
    fingerprint,
    load_index,
    load_record,
    read_fingerprint,
    require_fingerprint,
    save_record,
    write_table,
)
from wsgcn.errors import DataError
from wsgcn.labels import IGNORE, LOSS_NAMES, Method
from wsgcn.ops.photo import load_photo
from wsgcn.ops.resize import downscale_rgb, to_class_ids
from wsgcn.propagate.graph import adjacency
from wsgcn.propagate.image import gcn_scores
from wsgcn.propagate.walk import random_walk_scores
from wsgcn.runtime import LogMetrics, generator_for, make_files

if TYPE_CHECKING:
    from wsgcn.params import Params, Propagate


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
    )

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
    )
    rows = [[image.id, *make.losses(image.id).values()] for image in images] if gcn else []
    write_table(artifacts.losses(method.name), ("id", *LOSS_NAMES), rows)


@dataclass(frozen=True)
class MakeScores:
    """Loads one image's CAMs, graph and photograph, propagates, saves."""

    artifacts: Artifacts
    root: str
    method: Method
    params: Propagate
    run_seed: int

    def __call__(self, image: ImageRecord) -> bool:
        """Make one image's file; False where it is up to date."""
        variant = self.method.variant
        cams_path = self.artifacts.arrays("cams", variant, image.id)
        affinity_path = self.artifacts.arrays("affinity", variant, image.id)
        photo = Path(self.root) / image.photo
        inputs = [require_fingerprint(cams_path), require_fingerprint(affinity_path), file_digest(photo)]
        mark = fingerprint("propagate", self._settings(), inputs)
        path = self.artifacts.arrays("propagate", self.method.name, image.id)
        if read_fingerprint(path) == mark:
            return False
        cams, affinity = load_record(cams_path, Cams), load_record(affinity_path, Affinity)
        grid = affinity.weights.shape[1:]
        if cams.cams.shape[1:] != grid:
            raise DataError(
                f"{cams_path} has the grid {cams.cams.shape[1:]}, {affinity_path} has {grid}: make both again"
            )
        save_record(path, self._propagate(image.id, photo, cams, affinity), mark)
        return True

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

    def _propagate(self, image_id: str, photo: Path, cams: Cams, affinity: Affinity) -> Scores:
        class_ids = np.concatenate([[0], cams.class_ids]).astype(np.int64)
        graph = adjacency(affinity.offsets, affinity.weights.astype(np.float32))
        grid = (affinity.weights.shape[1], affinity.weights.shape[2])
        boundary = affinity.boundary.astype(np.float32)
        variant = self.method.variant
        if self.method.propagation == "random-walk":
            scores = random_walk_scores(cams.cams, boundary, graph, self.params.random_walk.walk(variant))
            unlabelled = np.full(grid, IGNORE, dtype=np.uint8)
            return Scores(class_ids, scores, unlabelled, np.empty((0, len(LOSS_NAMES)), dtype=np.float32))
        rgb_u8 = downscale_rgb(load_photo(photo), grid)
        generator = generator_for(self.run_seed, self.method.name, image_id)
        features = affinity.features.astype(np.float32)
        probs, positions, losses = gcn_scores(
            cams.cams, boundary, features, graph, rgb_u8, self.params, variant, generator
        )
        return Scores(class_ids, probs, to_class_ids(positions, class_ids), losses)
