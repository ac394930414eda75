"""Running the segmentation network on photographs, in worker processes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from wsgcn.errors import WsgcnError
from wsgcn.evaluate.evaluation import Evaluation
from wsgcn.nets.build import network_memory
from wsgcn.nets.deeplab import load_deeplab, predict_probs
from wsgcn.nets.prediction import labels_of, processes_on
from wsgcn.runtime.devices import pick_device
from wsgcn.runtime.memory import worker_memory
from wsgcn.runtime.per_image import PerImage
from wsgcn.runtime.workers import Outcome, map_images
from wsgcn.store.code import code_version
from wsgcn.store.fingerprints import DigestedFile, file_digest
from wsgcn.store.finished import FinishedWork
from wsgcn.store.index import ImageRecord, largest
from wsgcn.store.label_maps import save_label_map
from wsgcn.store.paths import in_project
from wsgcn.store.photos import load_photo

if TYPE_CHECKING:
    from wsgcn.sections import SegMerge

FOLDERS = {"val": False, "val_crf": True}
"""Of the network's label maps, and whether they are those after the CRF."""


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
    runtime = evaluation.params.runtime
    network, workers = find_network(evaluation, images)
    makers = [
        segmenter(evaluation, network, evaluation.folder / folder, refined) for folder, refined in FOLDERS.items()
    ]
    label = f"{evaluation.method.name}: segment"
    groups = [[image] for image in images]
    map_images(InTurn(tuple(makers)), groups, stage=evaluation.stage, label=label, workers=workers, preload=__name__)
    FinishedWork(in_project(runtime.store)).shrink(runtime.store_gb)


def find_network(evaluation: Evaluation, images: Iterable[ImageRecord]) -> tuple[NetworkKey, int]:
    """The method's network, and how many processes may run it at a time on these photographs.

    Raises:
        DataError: the checkpoint is missing or broken.
    """
    checkpoint = evaluation.artifacts.checkpoint("segtrain", evaluation.method.name)
    runtime = evaluation.params.runtime
    device = str(pick_device(runtime.device))
    network = NetworkKey(DigestedFile(checkpoint, file_digest(checkpoint)), device)
    backbone = _load(network).backbone  # a broken checkpoint is one error, not one for each photograph
    memory = network_memory(backbone.name, max(evaluation.params.evaluate.seg_scales), checkpoint, device)
    return network, processes_on(device, runtime.workers, worker_memory(*largest(images), memory))


@lru_cache(maxsize=1)
def _load(network: NetworkKey) -> Any:
    return load_deeplab(network.checkpoint.path, pick_device(network.device))


@lru_cache(maxsize=1)
def _probs(
    network: NetworkKey,
    photo: DigestedFile,
    shrunk: tuple[int, int] | None,
    scales: tuple[float, ...],
    flip: bool,
    merge: SegMerge,
) -> NDArray[np.float32]:
    """The network's ``(C, H, W)`` probabilities, kept of the last photograph: both of its label maps need them."""
    return predict_probs(_load(network), load_photo(photo.path, shrunk), scales, flip, merge)


@dataclass(frozen=True)
class SegmentPhotograph(PerImage[NDArray[np.uint8]]):
    """Segments a photograph and saves one label map of it; what is finished is kept.

    Scales are merged and, with flip, probabilities averaged over both orientations (test-time augmentation).

    Attributes:
        evaluation: whose photographs.
        network: which network.
        refined: the label map is the one after the CRF.
    """

    evaluation: Evaluation
    network: NetworkKey
    refined: bool

    suffix: ClassVar[str] = ".png"

    def inputs(self, image: ImageRecord) -> list[str]:
        """Digests of the network and of the photograph."""
        return [self.network.checkpoint.digest, file_digest(self.evaluation.index.photo_path(image))]

    def settings(self, image: ImageRecord) -> object:
        """Test-time augmentation and, for the map after it, the CRF."""
        names = {"seg_scales", "seg_flip", "seg_merge", *(["seg_crf"] if self.refined else [])}
        return ["segment", self.evaluation.params.evaluate.model_dump(mode="json", include=names)]

    def compute(self, image: ImageRecord) -> NDArray[np.uint8]:
        """The label map, ``(H, W)``."""
        settings = self.evaluation.params.evaluate
        rgb_u8 = self.evaluation.photo(image)
        photo = DigestedFile.of(self.evaluation.index.photo_path(image))
        augmentation = (settings.seg_scales, settings.seg_flip, settings.seg_merge)
        probs = _probs(self.network, photo, image.shrunk, *augmentation)
        return labels_of(probs, rgb_u8, settings.seg_crf if self.refined else None, size=image.size)

    def save(self, path: Path, result: NDArray[np.uint8], mark: str) -> None:
        """Write the label map."""
        save_label_map(path, result, mark)


@dataclass(frozen=True)
class InTurn:
    """Makes several files of each photograph, one after the other; the first error is the photograph's."""

    makers: tuple[SegmentPhotograph, ...]

    def __call__(self, images: Sequence[ImageRecord]) -> list[Outcome]:
        """Make the files of a group."""
        made = [maker(images) for maker in self.makers]
        return [_first_error(outcomes) for outcomes in zip(*made, strict=True)]


def _first_error(outcomes: Sequence[Outcome]) -> Outcome:
    return next((one for one in outcomes if isinstance(one, WsgcnError)), outcomes[0])


def segmenter(evaluation: Evaluation, network: NetworkKey, folder: Path, refined: bool) -> SegmentPhotograph:
    """What makes a folder of label maps, before or after the CRF, from the photographs of any list."""
    return SegmentPhotograph(
        folder=folder,
        # The backbone's module is asked of the network itself: it is built as its checkpoint says.
        code=code_version(SegmentPhotograph.__module__, type(_load(network).backbone).__module__),
        finished=FinishedWork(in_project(evaluation.params.runtime.store)),
        evaluation=evaluation,
        network=network,
        refined=refined,
    )
