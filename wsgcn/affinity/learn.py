"""Teaching an affinity network what the CAMs are confident of, as a job of the stage ``affinity-train``."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsgcn.affinity.fit import train_affinity
from wsgcn.affinity.infer import network_name
from wsgcn.affinity.net import AffinityNetwork
from wsgcn.nets.base import freeze_stages
from wsgcn.nets.build import build_backbone
from wsgcn.ops.resize import downscale_rgb, grid_size, resize_maps, to_class_ids
from wsgcn.runtime.per_image import PerImage, make_files
from wsgcn.runtime.seeds import seeded
from wsgcn.store.checkpoints import load_part
from wsgcn.store.fingerprints import DigestedFile, file_digest, require_fingerprint
from wsgcn.store.index import ImageRecord
from wsgcn.store.label_maps import load_label_map, save_label_map
from wsgcn.store.photos import load_photo
from wsgcn.store.records import Cams, load_record
from wsgcn.training.job import TrainingJob
from wsgcn.training.loop import fabric_for
from wsgcn.vocabulary import BACKGROUND

if TYPE_CHECKING:
    from wsgcn.affinity.learned import LearnedAffinity


def learn_affinity(
    kind: LearnedAffinity,
    job: TrainingJob,
    variant: str,
    cams: Callable[[str], Path],
    seeds: Path,
    start: DigestedFile,
) -> None:
    """Train an affinity network on seeds from the CAMs; write checkpoint, history and seeds.

    Imported weights (``trained``) are taken as they are, and no seeds are made.

    Args:
        kind: its parameters and network.
        job: photographs, seed, devices, files to write.
        variant: its name, which seeds random numbers.
        cams: file of an image's CAMs, by its id.
        seeds: folder of the seeds.
        start: the classifier's checkpoint, from which the backbone starts with ``weights: cams``.

    Raises:
        StageError: seeds of some photographs could not be made.
        DataError: a weight file is missing or another network's.
        UsageError: a device is not there, or the loss is no longer finite.
    """
    params = kind.train
    if params.trained is not None:
        net = kind.network(build_backbone(params.backbone, params.output_stride, None), freeze=True)
        job.take_imported(params.trained, network_name(kind), kind.structure(), net)
        shutil.rmtree(seeds, ignore_errors=True)  # what lies there taught another network
        return
    make = MakeSeeds(seeds, job.code, job.finished, job.index.root, kind, cams)
    make_files(
        make,
        job.images,
        stage="affinity-train",
        label=f"affinity-seeds {variant}",
        workers=job.runtime.workers,
        store_gb=job.runtime.store_gb,
    )
    files = [] if params.weights is None else [start.path if params.weights == "cams" else Path(params.weights)]
    numbers = params.model_dump(mode="json", exclude={"weights", "trained", "seeds"})
    marks = [require_fingerprint(make.path(image.id)) for image in job.images]
    mark = job.fingerprint({"name": [network_name(kind), variant], **numbers}, files, marks)
    job.train_once(mark, partial(_learn, kind, job, variant, make, start.path))


def _learn(
    kind: LearnedAffinity, job: TrainingJob, variant: str, seeds: MakeSeeds, start: Path, unfinished: Path
) -> None:
    fabric = fabric_for(job.runtime)
    net = _new_network(kind, job.runtime.seed, variant, start)
    trained = train_affinity(
        net,
        {image.id: (job.index.photo_path(image), seeds.path(image.id)) for image in job.images},
        _load_pair,
        kind.train,
        job.runtime.seed,
        fabric,
        name=f"affinity-train {variant}",
        label=job.label,
        section=job.section,
        unfinished=unfinished,
    )
    job.save(network_name(kind), kind.structure(), net, trained)


def _new_network(kind: LearnedAffinity, run_seed: int, variant: str, start: Path) -> AffinityNetwork:
    params = kind.train
    with seeded(run_seed, "affinity", variant):
        weights = None if params.weights == "cams" else params.weights
        backbone = build_backbone(params.backbone, params.output_stride, weights)
        if params.weights == "cams":
            load_part(start, "cams", "backbone.", backbone)
        net = kind.network(backbone, freeze=params.backbone_lr_factor == 0)
    freeze_stages(backbone, params.frozen_stages)
    return net


def _load_pair(paths: tuple[Path, Path]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return load_photo(paths[0]), load_label_map(paths[1])


@dataclass(frozen=True)
class MakeSeeds(PerImage[NDArray[np.uint8]]):
    """Finds the confident pixels of a photograph from its CAMs, saves them as a label map."""

    root: str
    kind: LearnedAffinity
    cams: Callable[[str], Path]

    suffix: ClassVar[str] = ".png"

    def inputs(self, image: ImageRecord) -> list[str]:
        """CAMs and photograph."""
        return [require_fingerprint(self.cams(image.id)), file_digest(Path(self.root) / image.photo)]

    def settings(self, image: ImageRecord) -> object:
        """Thresholds and CRF."""
        return ["seeds", self.kind.kind, self.kind.train.seeds.model_dump(mode="json")]

    def compute(self, image: ImageRecord) -> NDArray[np.uint8]:
        """Class ids, 255 = ignored, ``(H, W)``."""
        cams, rgb_u8 = load_record(self.cams(image.id), Cams), load_photo(Path(self.root) / image.photo)
        height, width = rgb_u8.shape[:2]
        grid = grid_size(height, width, self.kind.train.seeds.stride)
        positions = self.kind.confident_labels(resize_maps(cams.finest, grid), downscale_rgb(rgb_u8, grid))
        class_ids = to_class_ids(positions, np.concatenate([[BACKGROUND], cams.class_ids]))
        return np.asarray(Image.fromarray(class_ids).resize((width, height), Image.Resampling.NEAREST))

    def save(self, path: Path, result: NDArray[np.uint8], mark: str) -> None:
        """Write the label map."""
        save_label_map(path, result, mark)
