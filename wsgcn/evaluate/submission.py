"""What VOC's test server wants: a label map of every photograph of a list whose masks nobody has."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsgcn.errors import DataError, UsageError
from wsgcn.evaluate.evaluation import Evaluation
from wsgcn.evaluate.network import find_network, segmenter
from wsgcn.runtime.per_image import make_files
from wsgcn.store.files import write_atomic
from wsgcn.store.index import ImageRecord, load_index
from wsgcn.store.label_maps import load_labels_of
from wsgcn.store.paths import Artifacts
from wsgcn.vocabulary import IGNORE, VOC_CLASSES, palette

if TYPE_CHECKING:
    from wsgcn.methods import Method
    from wsgcn.params import Params

FOLDER = PurePosixPath("results/VOC2012/Segmentation")
"""In the archive. Source: the devkit's documentation of the best practice for submissions."""


def write_submission(params: Params, artifacts: Artifacts, method: Method, split: str, archive: Path) -> int:
    """Label every photograph of a list with a method's network and its CRF; write the server's archive.

    It holds ``results/VOC2012/Segmentation/comp6_<split>_cls/<id>.png``, palette PNGs of class ids; comp6 is the
    competition for which other data than VOC's masks may be used.

    Args:
        params: the whole of ``params.yaml``; section ``evaluate`` says how the network is run.
        artifacts: where the network lies, and where label maps are kept, so that a run that was killed goes on.
        method: whose network.
        split: name of the list in ``ImageSets/Segmentation``.
        archive: ``.tgz`` file to write.

    Returns:
        The number of label maps.

    Raises:
        UsageError: the dataset's classes are not VOC's 21.
        DataError: the list is missing, or a label map is not what its photograph needs.
        StageError: photographs are missing or without a size, before any work, or could not be labelled, after all
            others were; it lists them.
    """
    index = load_index(artifacts.index)
    if index.class_names != VOC_CLASSES:
        raise UsageError(f"VOC's server knows VOC's 21 classes, {', '.join(VOC_CLASSES)}: dataset.classes has others")
    images = params.dataset.unlabelled(split)
    folder = _segment(Evaluation(params, artifacts, method, index, "submission", None), split, images)
    write_archive(archive, f"comp6_{split}_cls", images, folder)
    return len(images)


def _segment(evaluation: Evaluation, split: str, images: list[ImageRecord]) -> Path:
    """Label every photograph; the folder of the label maps."""
    runtime = evaluation.params.runtime
    network, workers = find_network(evaluation, images)
    segment = segmenter(evaluation, network, evaluation.folder / split, refined=True)
    label = f"{evaluation.method.name}: segment {split}"
    make_files(segment, images, stage="evaluate", label=label, workers=workers, store_gb=runtime.store_gb)
    return segment.folder


def write_archive(archive: Path, competition: str, images: Iterable[ImageRecord], folder: Path) -> None:
    """Check the label map of every photograph, then write them all; the same maps give the same bytes.

    Raises:
        DataError: a label map is missing or broken, has another size than its photograph, or a value that is no class.
    """
    labels = {image.id: _checked(folder / f"{image.id}.png", image) for image in images}

    def write(file: BinaryIO) -> None:
        zipped = gzip.GzipFile(fileobj=file, mode="wb", mtime=0)
        with zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
            for image_id, one in labels.items():
                content = _png(one)
                entry = tarfile.TarInfo(str(FOLDER / competition / f"{image_id}.png"))
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))

    write_atomic(archive, write)


def _checked(path: Path, image: ImageRecord) -> NDArray[np.uint8]:
    labels = load_labels_of(path, image, len(VOC_CLASSES))
    if (labels == IGNORE).any():
        raise DataError(f"{path} leaves pixels without a class: delete it and run this again")
    return labels


def _png(labels: NDArray[np.uint8]) -> bytes:
    image, file = Image.fromarray(labels), io.BytesIO()
    image.putpalette(palette())
    image.save(file, format="PNG", optimize=True)
    return file.getvalue()
