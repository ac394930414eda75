"""What teaches an affinity network, as one file of each photograph: labels, or scores from which they follow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsgcn.errors import DataError
from wsgcn.ops.resize import downscale_rgb, grid_size, resize_maps, to_class_ids
from wsgcn.ops.saliency import background_by_saliency
from wsgcn.runtime.per_image import PerImage
from wsgcn.store.fingerprints import file_digest, require_fingerprint
from wsgcn.store.index import ImageRecord
from wsgcn.store.label_maps import load_label_map, save_label_map
from wsgcn.store.photos import load_photo
from wsgcn.store.records import Cams, SeedScores, load_record, load_record_of, save_record
from wsgcn.store.saliency import load_saliency, saliency_digest
from wsgcn.vocabulary import BACKGROUND

if TYPE_CHECKING:
    from wsgcn.affinity.learned import LearnedAffinity

Result = TypeVar("Result")


@dataclass(frozen=True)
class Read:
    """A photograph and its CAMs.

    Attributes:
        class_ids: ``(K,)`` of the image, background first.
        cams: ``(K-1, h, w)``.
        rgb_u8: ``(h, w, 3)``.
        size: rows and columns of the photograph as it is seen.
        saliency: ``(h, w)`` in [0, 1], or None where none is read.
    """

    class_ids: NDArray[np.int64]
    cams: NDArray[np.float32]
    rgb_u8: NDArray[np.uint8]
    size: tuple[int, int]
    saliency: NDArray[np.float32] | None


@dataclass(frozen=True)
class FromCams(PerImage[Result]):
    """Makes something of a photograph and its CAMs, at every pixel or at some."""

    root: str
    kind: LearnedAffinity
    cams: Callable[[str], Path]

    def inputs(self, image: ImageRecord) -> list[str]:
        """CAMs and photograph, and its saliency map where there are some."""
        marks = [require_fingerprint(self.cams(image.id)), file_digest(Path(self.root) / image.photo)]
        saliency = self.kind.train.seeds.saliency
        return [*marks, saliency_digest(saliency.folder, image)] if saliency else marks

    def settings(self, image: ImageRecord) -> object:
        """Thresholds and CRF."""
        return ["seeds", self.kind.kind, self.kind.train.seeds.fingerprinted()]

    def read(self, image: ImageRecord) -> Read:
        """The photograph and its CAMs at the resolution at which the CRF runs."""
        cams = load_record_of(self.cams(image.id), Cams, image)
        rgb_u8 = load_photo(Path(self.root) / image.photo, image.shrunk)
        size = (rgb_u8.shape[0], rgb_u8.shape[1])
        seeds = self.kind.train.seeds
        grid = grid_size(*size, seeds.stride)
        class_ids = np.concatenate([[BACKGROUND], cams.class_ids])
        saliency = resize_maps(load_saliency(seeds.saliency.folder, image)[None], grid)[0] if seeds.saliency else None
        return Read(class_ids, resize_maps(cams.finest, grid), downscale_rgb(rgb_u8, grid), size, saliency)


@dataclass(frozen=True)
class MakeSeeds(FromCams[NDArray[np.uint8]]):
    """Finds the confident pixels of a photograph from its CAMs, saves them as a label map."""

    suffix: ClassVar[str] = ".png"

    def compute(self, image: ImageRecord) -> NDArray[np.uint8]:
        """Class ids, 255 = ignored, ``(H, W)``."""
        read = self.read(image)
        labels, saliency = self.kind.confident_labels(read.cams, read.rgb_u8), self.kind.train.seeds.saliency
        if saliency and read.saliency is not None:
            labels = background_by_saliency(labels, read.cams, read.saliency, saliency.threshold, saliency.cam)
        class_ids = to_class_ids(labels, read.class_ids)
        return np.asarray(Image.fromarray(class_ids).resize(read.size[::-1], Image.Resampling.NEAREST))

    def save(self, path: Path, result: NDArray[np.uint8], mark: str) -> None:
        """Write the label map."""
        save_label_map(path, result, mark)


@dataclass(frozen=True)
class MakeSeedScores(FromCams[SeedScores]):
    """Refines two score maps of a photograph, from which the labels of a crop's cells will follow, and saves them."""

    suffix: ClassVar[str] = ".npz"

    def compute(self, image: ImageRecord) -> SeedScores:
        """Probabilities of each pixel."""
        read = self.read(image)
        low, high = (resize_maps(one, read.size) for one in self.kind.seed_scores(read.cams, read.rgb_u8))
        return SeedScores(read.class_ids, low.astype(np.float16), high.astype(np.float16))

    def save(self, path: Path, result: SeedScores, mark: str) -> None:
        """Write the arrays."""
        save_record(path, result, mark)


def load_seeds(
    taught: tuple[Path, tuple[int, int] | None, Path],
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | SeedScores]:
    """A photograph, ``(H, W, 3)``, and what :class:`MakeSeeds` or :class:`MakeSeedScores` wrote of it.

    Args:
        taught: file of the photograph, rows and columns at which it is seen (None = its own), file of its seeds.

    Raises:
        DataError: a file is missing or broken, or the two differ in size.
    """
    photo, shrunk, seeds = taught
    rgb_u8 = load_photo(photo, shrunk)
    read = load_record(seeds, SeedScores) if seeds.suffix == MakeSeedScores.suffix else load_label_map(seeds)
    shape = read.shape if isinstance(read, np.ndarray) else read.low.shape[1:]
    if shape != rgb_u8.shape[:2]:
        raise DataError(f"{seeds} has {shape[0]} x {shape[1]} pixels, {photo} another size: run all stages again")
    return rgb_u8, read
