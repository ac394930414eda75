"""Running the segmentation network on photographs, in worker processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from wsgcn.evaluate.evaluation import Evaluation
from wsgcn.nets.deeplab import load_deeplab, predict_probs
from wsgcn.ops.densecrf import dense_crf
from wsgcn.runtime.devices import pick_device, worker_count
from wsgcn.runtime.per_image import PerImage
from wsgcn.runtime.workers import EachImage, map_images
from wsgcn.store.fingerprints import DigestedFile, file_digest
from wsgcn.store.index import ImageRecord
from wsgcn.store.label_maps import save_label_map

FOLDERS = ("val", "val_crf")
"""Of the network's label maps before and after the CRF."""

SHARED_DEVICE_WORKERS = 4
"""Processes on one accelerator: enough to keep it busy during the CRFs, few enough for its memory."""


@dataclass(frozen=True)
class NetworkKey:
    """Which network to run; a picklable key under which a worker process keeps the loaded one.

    Attributes:
        checkpoint: file of the weights, with its digest, so that a network trained anew is loaded anew.
        device: name of the device.
    """

    checkpoint: DigestedFile
    device: str


def segment_photographs(evaluation: Evaluation, images: Sequence[ImageRecord]) -> None:
    """Write the label maps ``val/<id>.png`` and, after the CRF, ``val_crf/<id>.png`` of each photograph.

    Raises:
        DataError: the checkpoint is missing or broken.
        StageError: some photographs failed.
    """
    network, workers = find_network(evaluation)
    map_images(
        EachImage(partial(_save_both, evaluation, network)),
        [[image] for image in images],
        stage=evaluation.stage,
        label=f"{evaluation.method.name}: segment",
        workers=workers,
        preload=__name__,
    )


def find_network(evaluation: Evaluation) -> tuple[NetworkKey, int]:
    """The method's network, and how many processes may run it at a time.

    Raises:
        DataError: the checkpoint is missing or broken.
    """
    checkpoint = evaluation.artifacts.checkpoint("segtrain", evaluation.method.name)
    runtime = evaluation.params.runtime
    device = str(pick_device(runtime.device))
    network = NetworkKey(DigestedFile(checkpoint, file_digest(checkpoint)), device)
    _load(network)  # a broken checkpoint is one error, not one for each photograph
    workers = worker_count(runtime.workers)
    return network, workers if device == "cpu" else min(workers, SHARED_DEVICE_WORKERS)


def _save_both(evaluation: Evaluation, network: NetworkKey, image: ImageRecord) -> None:
    for folder, labels in zip(FOLDERS, segment_photograph(evaluation, network, image)):
        save_label_map(evaluation.folder / folder / f"{image.id}.png", labels, "")


def segment_photograph(
    evaluation: Evaluation, network: NetworkKey, image: ImageRecord
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Segment one photograph with the network: ``(H, W)`` uint8 class ids before and after the CRF.

    Probabilities are averaged over the scales and, with flip, over both orientations (test-time augmentation).
    """
    settings = evaluation.params.evaluate
    rgb_u8 = evaluation.photo(image)
    probs = predict_probs(_load(network), rgb_u8, settings.seg_scales, settings.seg_flip)
    refined = dense_crf(probs, rgb_u8, settings.seg_crf)
    return probs.argmax(axis=0).astype(np.uint8), refined.argmax(axis=0).astype(np.uint8)


@lru_cache(maxsize=1)
def _load(network: NetworkKey) -> Any:
    return load_deeplab(network.checkpoint.path, pick_device(network.device))


@dataclass(frozen=True)
class SegmentPhotograph(PerImage[NDArray[np.uint8]]):
    """Segments a photograph, saves the label map after the CRF; what is finished is kept."""

    evaluation: Evaluation
    network: NetworkKey

    suffix: ClassVar[str] = ".png"

    def inputs(self, image: ImageRecord) -> list[str]:
        """Digests of the network and of the photograph."""
        return [self.network.checkpoint.digest, file_digest(self.evaluation.index.photo_path(image))]

    def settings(self, image: ImageRecord) -> object:
        """Test-time augmentation and the CRF."""
        names = {"seg_scales", "seg_flip", "seg_crf"}
        return ["segment", self.evaluation.params.evaluate.model_dump(mode="json", include=names)]

    def compute(self, image: ImageRecord) -> NDArray[np.uint8]:
        """The label map, ``(H, W)``."""
        return segment_photograph(self.evaluation, self.network, image)[1]

    def save(self, path: Path, result: NDArray[np.uint8], mark: str) -> None:
        """Write the label map."""
        save_label_map(path, result, mark)
