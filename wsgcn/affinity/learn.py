"""Teaching an affinity network what the CAMs are confident of, as a job of the stage ``affinity-train``."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsgcn.affinity.fit import train_affinity
from wsgcn.affinity.infer import network_name
from wsgcn.affinity.net import AffinityNetwork
from wsgcn.affinity.seed_files import FromCams, MakeSeeds, MakeSeedScores, load_seeds
from wsgcn.nets.base import freeze_stages
from wsgcn.nets.build import build_backbone
from wsgcn.runtime.cluster import Cluster
from wsgcn.runtime.per_image import make_files
from wsgcn.runtime.seeds import seeded
from wsgcn.store.checkpoints import load_part
from wsgcn.store.fingerprints import DigestedFile, require_fingerprint
from wsgcn.training.job import TrainingJob
from wsgcn.training.loop import fabric_for
from wsgcn.vocabulary import CAM_NETWORK

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
    make: FromCams[Any] = seed_maker(kind)(seeds, job.code, job.finished, job.index.root, kind, cams)
    make_files(
        make,
        job.images,
        stage="affinity-train",
        label=f"affinity-seeds {variant}",
        workers=job.runtime.workers,
        store_gb=job.runtime.store_gb,
        cluster=Cluster.of(job.runtime),
    )
    files = [] if params.weights is None else [start.path if params.weights == "cams" else Path(params.weights)]
    numbers = params.fingerprinted(exclude={"seeds"})
    marks = [require_fingerprint(make.path(image.id)) for image in job.images]
    mark = job.fingerprint({"name": [network_name(kind), variant], **numbers}, files, marks)
    job.train_once(mark, partial(_learn, kind, job, variant, make, start.path))


def seed_maker(kind: LearnedAffinity) -> type[MakeSeeds | MakeSeedScores]:
    """What makes the seeds of a photograph: labels, or scores from which they follow at the training's size."""
    return MakeSeedScores if kind.pooled_seeds else MakeSeeds


def _learn(
    kind: LearnedAffinity, job: TrainingJob, variant: str, seeds: FromCams[Any], start: Path, unfinished: Path
) -> None:
    fabric = fabric_for(job.runtime)
    net = _new_network(kind, job.runtime.seed, variant, start)
    trained = train_affinity(
        net,
        {image.id: (job.index.photo_path(image), image.shrunk, seeds.path(image.id)) for image in job.images},
        load_seeds,
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
            load_part(start, CAM_NETWORK, "backbone.", backbone)
        net = kind.network(backbone, freeze=params.backbone_lr_factor == 0)
    freeze_stages(backbone, params.frozen_stages)
    return net
