"""Running the segmentation network on the validation photographs, in worker processes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsgcn.evaluate.job import Job
from wsgcn.nets.deeplab import load_deeplab, predict_probs
from wsgcn.ops.densecrf import dense_crf
from wsgcn.runtime.devices import pick_device, worker_count
from wsgcn.runtime.workers import map_images
from wsgcn.store.fingerprints import file_digest
from wsgcn.store.index import ImageRecord
from wsgcn.store.label_maps import save_label_map

SHARED_DEVICE_WORKERS = 4
"""Processes on one accelerator: enough to keep it busy during the CRFs, few enough for its memory."""


@dataclass(frozen=True)
class Network:
    """Which network to run; a picklable key under which a worker keeps the loaded one.

    Attributes:
        checkpoint: file of the weights.
        digest: of its content, so that a network trained anew is loaded anew.
        device: name of the device.
    """

    checkpoint: Path
    digest: str
    device: str


def segment_all(job: Job, images: list[ImageRecord]) -> None:
    """Write the label maps ``val/<id>.png`` and, after the CRF, ``val_crf/<id>.png`` of each photograph.

    Raises:
        DataError: the checkpoint is missing or broken.
        StageError: some photographs failed.
    """
    network, workers = network_of(job)
    map_images(
        partial(segment, job, network),
        images,
        stage="evaluate",
        label=f"{job.method.name}: segment",
        workers=workers,
    )


def network_of(job: Job) -> tuple[Network, int]:
    """The method's network, and how many processes may run it at a time.

    Raises:
        DataError: the checkpoint is missing or broken.
    """
    checkpoint = job.artifacts.checkpoint("segtrain", job.method.name)
    device = str(pick_device(job.params.runtime.device))
    network = Network(checkpoint, file_digest(checkpoint), device)
    _load(network)  # a broken checkpoint is one error, not one for each photograph
    workers = worker_count(job.params.runtime.workers)
    return network, workers if device == "cpu" else min(workers, SHARED_DEVICE_WORKERS)


def segment(job: Job, network: Network, image: ImageRecord) -> bool:
    """Save both label maps of one photograph, see :func:`predict`."""
    for stage, labels in zip(("val", "val_crf"), predict(job, network, image)):
        save_label_map(job.folder / stage / f"{image.id}.png", labels, "")
    return True


def predict(job: Job, network: Network, image: ImageRecord) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Segment one photograph with the network: ``(H, W)`` class ids before and after the CRF."""
    settings = job.params.evaluate
    rgb_u8 = job.photo(image)
    probs = predict_probs(_load(network), rgb_u8, settings.seg_scales, settings.seg_flip)
    refined = dense_crf(probs, rgb_u8, settings.seg_crf)
    return probs.argmax(axis=0).astype(np.uint8), refined.argmax(axis=0).astype(np.uint8)


@lru_cache(maxsize=1)
def _load(network: Network) -> Any:
    return load_deeplab(network.checkpoint, pick_device(network.device))
