"""What every step of an evaluation needs to know, and how it finds the files of one photograph."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wsgcn.errors import DataError, UsageError
from wsgcn.evaluate.truth import find_masks
from wsgcn.runtime.progress import Warn
from wsgcn.store.index import ImageRecord, Index, load_index
from wsgcn.store.label_maps import load_mask
from wsgcn.store.paths import Artifacts
from wsgcn.store.photos import load_photo, photo_size

if TYPE_CHECKING:
    from wsgcn.methods import Method
    from wsgcn.params import Params


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of one method by one stage; it can be sent to a worker process.

    Attributes:
        params: the whole of ``params.yaml``.
        artifacts: where files lie.
        method: whose labels or network.
        index: the dataset.
        stage: word of the stage, which names the folder of the results.
        masks: folder of the ground truth, None where there is none and nothing can be scored.
    """

    params: Params
    artifacts: Artifacts
    method: Method
    index: Index
    stage: str
    masks: Path | None

    @property
    def folder(self) -> Path:
        """Where the results go."""
        return self.artifacts.folder(self.stage, self.method.name)

    @property
    def classes(self) -> int:
        """Number of classes of the dataset, C."""
        return len(self.index.class_names)

    @cached_property
    def class_ids(self) -> tuple[int, ...]:
        """Ids of the classes in ``evaluate.classes``, which are scored.

        Raises:
            UsageError: the dataset does not have one of them.
        """
        names = self.index.class_names
        unknown = [name for name in self.params.evaluate.classes if name not in names]
        if unknown:
            raise UsageError(f"evaluate.classes holds {', '.join(unknown)}: the dataset has {', '.join(names)}")
        return tuple(names.index(name) for name in dict.fromkeys(self.params.evaluate.classes))

    def truth(self, image: ImageRecord) -> NDArray[np.uint8] | None:
        """The ground truth of a photograph, ``(H, W)`` uint8; None where no photograph has any.

        Raises:
            DataError: others have a mask and this one has not, or it does not fit; see :func:`load_mask`.
        """
        if self.masks is None:
            return None
        return load_mask(self.masks / f"{image.id}.png", image, self.classes)

    def photo(self, image: ImageRecord) -> NDArray[np.uint8]:
        """The upright photograph as the stages see it, ``(H, W, 3)`` uint8.

        Raises:
            DataError: it cannot be read, or it is not the one that the index describes.
        """
        path = self.index.photo_path(image)
        rgb_u8 = load_photo(path, image.shrunk)
        height, width = rgb_u8.shape[:2] if image.shrunk is None else photo_size(path)
        if (height, width) != image.size:
            raise DataError(
                f"{path} is {width} x {height} pixels, but the index says {image.width} x {image.height}: "
                "run `wsgcn dataset`"
            )
        return rgb_u8


def start_evaluation(
    params: Params, artifacts: Artifacts, method: Method, stage: str, split: str, warn: Warn
) -> tuple[Evaluation, list[ImageRecord]]:
    """Clear the folder of the results, look for masks, and list the photographs of a split.

    Args:
        params: the whole of ``params.yaml``.
        artifacts: where files lie.
        method: whose labels or network are evaluated.
        stage: word of the stage.
        split: whose photographs.
        warn: told where there are no masks.

    Raises:
        UsageError: a class to be scored is unknown.
        DataError: the index is missing, or no photograph belongs to the split.
    """
    index = load_index(artifacts.index)
    images = index.split(split)
    folder = Path(params.evaluate.masks)
    masks = find_masks(folder, images)
    evaluation = Evaluation(params, artifacts, method, index, stage, masks)
    if evaluation.class_ids and masks is None:
        warn(f"no mask of {split} in {folder}: nothing is scored; put <id>.png there or set evaluate.masks")
    shutil.rmtree(evaluation.folder, ignore_errors=True)
    return evaluation, images
