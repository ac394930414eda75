"""What a segmentation network is shown: crops of photographs and of their pseudo labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsgcn.errors import DataError
from wsgcn.ops.grid import at_cells, covering_scores
from wsgcn.ops.resize import enlarge_scores
from wsgcn.ops.scores import to_probs
from wsgcn.store.index import ImageRecord, Index
from wsgcn.store.label_maps import load_labels_of
from wsgcn.store.photos import load_photo
from wsgcn.store.records import Scores, load_record_of
from wsgcn.training.augment import ToInput, random_crop, random_view
from wsgcn.training.tags import multi_hot
from wsgcn.vocabulary import IGNORE


@dataclass(frozen=True)
class PseudoLabels:
    """Where the pseudo labels of one method lie, and which of their pixels count.

    Attributes:
        labels: folder of the label maps.
        scores: folder of the scores that they were refined from.
        min_confidence: share of a pixel's scores that its class must have; at 0 the scores are not read.
    """

    labels: Path
    scores: Path
    min_confidence: float

    def files(self, image_id: str) -> list[Path]:
        """Every file that is read for an image."""
        files = [self.labels / f"{image_id}.png"]
        return [*files, self.scores / f"{image_id}.npz"] if self.min_confidence else files

    def load(self, image: ImageRecord, classes: int) -> NDArray[np.uint8]:
        """Ids below ``classes`` of a photograph as it is seen, 255 = unlabelled, also where a label is not confident.

        Raises:
            DataError: a file is missing or broken, or does not fit the photograph.
        """
        path, *scores = self.files(image.id)
        labels = load_labels_of(path, image, classes)
        labels = labels if image.shrunk is None else at_cells(labels, image.shrunk)
        return confident(labels, load_record_of(scores[0], Scores, image), self.min_confidence) if scores else labels


def confident(labels: NDArray[np.uint8], record: Scores, min_confidence: float) -> NDArray[np.uint8]:
    """Labels without those pixels whose class had a small share of the scores before it was refined.

    The dense CRF draws outlines, and now and then moves a label to where propagation saw another class: these pixels,
    and those where two classes score alike, are wrong most often.

    Args:
        labels: ``(H, W)`` class ids, 255 = unlabelled.
        record: the scores, at the grid's resolution.
        min_confidence: least share, in [0, 1).

    Returns:
        ``(H, W)`` class ids, 255 = unlabelled.
    """
    height, width = labels.shape
    size, logarithmic = (height, width), bool(record.logarithmic)
    covering = covering_scores(record.scores, size, int(record.stride), logarithmic)
    probs = to_probs(enlarge_scores(covering, size, logarithmic))  # (K, h, w) -> (K, H, W)
    position = np.zeros(IGNORE + 1, dtype=np.intp)
    position[record.class_ids] = np.arange(len(record.class_ids))
    share = np.take_along_axis(probs, position[labels][None], axis=0)[0]
    return np.where(share < min_confidence, np.uint8(IGNORE), labels)


@dataclass(frozen=True)
class SegmentationSample:
    """Makes a random crop of a photograph, ``(3, crop, crop)``, and of its pseudo labels, ``(crop, crop)``."""

    index: Index
    labels: PseudoLabels
    crop: int
    scale: tuple[float, float]
    to_input: ToInput

    def __call__(self, image: ImageRecord, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The crop that the generator draws."""
        photo, labels = labelled_photo(self.index, self.labels, image)
        return random_crop(photo, labels, self.crop, self.scale, generator, self.to_input)


@dataclass(frozen=True)
class TaggedSample:
    """Makes a random crop of a photograph, ``(3, crop, crop)``, and what is known of it.

    That is its labels, ``(crop, crop)`` uint8, all 255 where none are given; where it shows the photograph, bool; and
    which of the C - 1 foreground classes the photograph shows, ones and zeros.
    """

    index: Index
    labels: PseudoLabels | None
    crop: int
    scale: tuple[float, float]
    to_input: ToInput

    def __call__(self, image: ImageRecord, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The crop that the generator draws."""
        if self.labels is None:
            photo = load_photo(self.index.photo_path(image), image.shrunk)
            labels = np.full(photo.shape[:2], IGNORE, dtype=np.uint8)
        else:
            photo, labels = labelled_photo(self.index, self.labels, image)
        view = random_view((photo.shape[0], photo.shape[1]), self.crop, self.scale, generator)
        shown = multi_hot(image.class_ids, len(self.index.class_names) - 1)
        return view.photo(photo, self.to_input, "bilinear"), view.labels(labels), view.inside(), shown


def labelled_photo(
    index: Index, labels: PseudoLabels, image: ImageRecord
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """An ``(H, W, 3)`` photograph and its ``(H, W)`` pseudo labels.

    Raises:
        DataError: a file is missing or broken, the two differ in size, or a label is of no class.
    """
    path = index.photo_path(image)
    photo, found = load_photo(path, image.shrunk), labels.load(image, len(index.class_names))
    if photo.shape[:2] != found.shape:
        raise DataError(f"{path} has changed since `wsgcn dataset` read it: run all stages again")
    return photo, found
