"""Masks of new photographs: a trained segmentation network labels files and folders of anybody's photographs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from wsgcn.errors import DataError, UsageError
from wsgcn.nets.build import network_memory
from wsgcn.nets.deeplab import DeepLabV2, load_deeplab, predict_probs
from wsgcn.nets.prediction import labels_of, processes_on
from wsgcn.ops.grid import at_cells
from wsgcn.ops.panels import draw_panel, find_legend, label_overlay
from wsgcn.runtime.devices import pick_device
from wsgcn.runtime.memory import worker_memory
from wsgcn.runtime.workers import EachImage, map_images
from wsgcn.sections import Crf
from wsgcn.store.code import code_version
from wsgcn.store.files import read_table, write_table
from wsgcn.store.fingerprints import DigestedFile, file_digest, fingerprint, read_fingerprint
from wsgcn.store.label_maps import FINGERPRINT, save_label_map
from wsgcn.store.limits import MEGA
from wsgcn.store.photos import find_photographs, load_bounded, photo_id
from wsgcn.store.seal import write_sealed

if TYPE_CHECKING:
    from wsgcn.sections import SegMerge

LABELS, OVERLAYS, PROBABILITIES, CLASSES = "labels", "overlays", "probabilities", "classes.csv"
"""What lies in the folder of results: a folder of palette PNGs, one of pictures, one of ``.npz``, and the class ids."""


@dataclass(frozen=True)
class Model:
    """A trained network, and how its labels are made.

    Attributes:
        checkpoint: file of the network.
        class_names: by class id, background first.
        scales: of the photograph at test, which are merged.
        flip: average over the photograph and its mirror image.
        merge: of the scales.
        crf: numbers of the dense CRF; None = no CRF.
        max_megapixels: a larger photograph is refused; None = none is.
        work_megapixels: a larger photograph is shrunk to these for the network; None = none is.
    """

    checkpoint: Path
    class_names: tuple[str, ...]
    scales: tuple[float, ...]
    flip: bool
    merge: SegMerge
    crf: Crf | None
    max_megapixels: float | None = None
    work_megapixels: float | None = None


def model_of(checkpoint: Path, classes: Sequence[str], settings: Mapping[str, Any], crf: bool) -> Model:
    """A network with the settings of section ``evaluate``, or with those that were logged beside it.

    Args:
        checkpoint: file of the network.
        classes: their names, background first.
        settings: ``scales``, ``flip``, ``merge`` and ``crf``; where there are such bounds, ``max_megapixels`` and
            ``work_megapixels``.
        crf: labels are those after the CRF.

    Raises:
        DataError: the settings are those of another version.
    """
    try:
        refined = Crf(**settings["crf"]) if crf else None
        scales = tuple(map(float, settings["scales"]))
        sizes = (settings.get("max_megapixels"), settings.get("work_megapixels"))
        return Model(checkpoint, tuple(classes), scales, settings["flip"], settings["merge"], refined, *sizes)
    except (TypeError, ValueError) as error:
        raise DataError(f"{checkpoint} has settings of another version: {' '.join(str(error).split())}") from error


@dataclass(frozen=True)
class Photo:
    """A photograph to label: its file, and the name of its results."""

    id: str
    path: Path


@dataclass(frozen=True)
class PredictPhoto:
    """Labels one photograph; what has the fingerprint of the same network, settings and file already is left alone.

    Attributes:
        model: network and settings.
        network: the checkpoint with its digest.
        device: name of the device.
        code: digest of the code.
        folder: of the results.
        probabilities: write them too.
    """

    model: Model
    network: DigestedFile
    device: str
    code: str
    folder: Path
    probabilities: bool

    def __call__(self, photo: Photo) -> None:
        """Write the photograph's files, the label map last.

        Raises:
            DataError: the photograph is missing or broken.
        """
        files = {name: self.folder / name / f"{photo.id}{suffix}" for name, suffix in self._suffixes().items()}
        mark = fingerprint(self.code, self._settings(), [self.network.digest, file_digest(photo.path)])
        found = {path: read_fingerprint(path) for path in files.values()}
        if all(one == mark for one in found.values()):
            return
        for path, one in found.items():
            if one is None and path.exists():
                raise DataError(
                    f"{path} was not made by `wsgcn predict`, or is damaged: move it away, or name another folder"
                )
        model = self.model
        size, rgb_u8 = load_bounded(photo.path, model.max_megapixels, model.work_megapixels)
        probs = predict_probs(_load(self.network, self.device), rgb_u8, model.scales, model.flip, model.merge)
        labels = labels_of(probs, rgb_u8, model.crf, size=size)
        if self.probabilities:
            content = (probs.astype(np.float16), np.array(model.class_names), np.array(mark))
            write_sealed(files[PROBABILITIES], lambda file: _save_probabilities(file, *content))
        info = PngImagePlugin.PngInfo()
        info.add_text(FINGERPRINT, mark)
        overlay = self._overlay(photo, rgb_u8, at_cells(labels, rgb_u8.shape[:2]))
        write_sealed(files[OVERLAYS], lambda file: overlay.save(file, format="PNG", pnginfo=info))
        save_label_map(files[LABELS], labels, mark)

    def _suffixes(self) -> dict[str, str]:
        wanted = {LABELS: ".png", OVERLAYS: ".png"}
        return wanted | {PROBABILITIES: ".npz"} if self.probabilities else wanted

    def _settings(self) -> object:
        model = self.model
        crf = model.crf and model.crf.model_dump(mode="json")
        return [model.class_names, model.scales, model.flip, model.merge, crf, model.work_megapixels]

    def _overlay(self, photo: Photo, rgb_u8: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Image.Image:
        tiles = [(photo.path.name, rgb_u8), ("labels", label_overlay(rgb_u8, labels))]
        return draw_panel(tiles, find_legend([labels], self.model.class_names), len(rgb_u8))


def _save_probabilities(
    file: BinaryIO, probs: NDArray[np.float16], class_names: NDArray[np.str_], fingerprint: NDArray[np.str_]
) -> None:
    np.savez_compressed(file, probs=probs, class_names=class_names, fingerprint=fingerprint)


@lru_cache(maxsize=1)
def _load(network: DigestedFile, device: str) -> DeepLabV2:
    return load_deeplab(network.path, pick_device(device))


def predict_photographs(
    model: Model, given: Sequence[Path], folder: Path, device: str, workers: int, probabilities: bool
) -> int:
    """Label every photograph in worker processes; a run that was stopped goes on where it was.

    Args:
        model: network and settings.
        given: files, and folders with photographs in and below them.
        folder: gets ``labels/``, ``overlays/``, ``classes.csv`` and, asked for, ``probabilities/`` with ``probs``
            ``(C, H, W)`` float16 that sum to 1 over C, of a shrunk photograph at that size. What else lies there stays.
        device: auto, cpu, cuda or cuda:<n>.
        workers: processes, 0 = one a core.
        probabilities: write them too.

    Returns:
        The number of photographs.

    Raises:
        UsageError: two photographs would have one name.
        DataError: the network or a folder is missing or broken, or the network has other classes.
        StageError: some photographs failed; the others were labelled.
    """
    photos = find_photos(given, folder)
    name = str(pick_device(device))
    network = DigestedFile(model.checkpoint, file_digest(model.checkpoint))
    loaded = _load(network, name)  # a broken checkpoint is one error, not one for each photograph
    require_names(loaded, model)
    _note_classes(folder / CLASSES, model.class_names)
    code = code_version(__name__, type(loaded.backbone).__module__)
    work = EachImage(PredictPhoto(model, network, name, code, folder, probabilities))
    groups = [[photo] for photo in photos]
    pixels = MEGA * (model.max_megapixels or 0)
    seen = MEGA * model.work_megapixels if model.work_megapixels else pixels
    memory = network_memory(loaded.backbone.name, max(model.scales), model.checkpoint, name)
    count = processes_on(name, workers, worker_memory(pixels, seen, memory))
    map_images(work, groups, stage="predict", label="predict", workers=count, preload=__name__)
    return len(photos)


def require_names(network: DeepLabV2, model: Model) -> None:
    """Make sure that the settings name every class of the network.

    Raises:
        DataError: they do not.
    """
    if network.classes != len(model.class_names):
        raise DataError(
            f"{model.checkpoint} knows {network.classes} classes, but there are {len(model.class_names)} names: "
            "dataset.classes of another project?"
        )


def _note_classes(path: Path, class_names: Sequence[str]) -> None:
    """Write the list of classes; another one means that somebody's own files, or those of other classes, are there."""
    rows = [{"id": str(class_id), "name": name} for class_id, name in enumerate(class_names)]
    if not path.exists():
        write_table(path, ("id", "name"), enumerate(class_names))
    elif read_table(path) != rows:
        raise UsageError(f"{path} lists other classes: name another folder with --out")


def find_photos(given: Iterable[Path], results: Path) -> list[Photo]:
    """The photographs of files and folders; one in a folder is called by its path there.

    Args:
        given: files and folders.
        results: folder whose pictures are results of earlier runs.

    Raises:
        UsageError: two of them would have one name.
        DataError: a file or folder is missing, or a folder holds no photograph.
    """
    photos: dict[str, Photo] = {}
    for path in given:
        names = find_photographs(path) if path.is_dir() else {path.name: path.name}
        root = path if path.is_dir() else path.parent
        for name, file in names.items():
            if (root / file).resolve().is_relative_to(results.resolve()):
                continue
            photo = Photo(photo_id(name), root / file)
            other = photos.setdefault(photo.id, photo)
            if other.path != photo.path:
                raise UsageError(f"{other.path} and {photo.path} would have results of one name: rename one of them")
    return list(photos.values())
