"""What every step of an evaluation needs to know, and how it finds the files of one photograph."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wsgcn.errors import DataError, UsageError
from wsgcn.evaluate.truth import load_checked
from wsgcn.store.index import ImageRecord, Index
from wsgcn.store.paths import Artifacts
from wsgcn.store.photos import load_photo
from wsgcn.vocabulary import Method

if TYPE_CHECKING:
    from wsgcn.params import Params


@dataclass(frozen=True)
class Job:
    """The evaluation of one method; it can be sent to a worker process."""

    params: Params
    artifacts: Artifacts
    method: Method
    index: Index

    @property
    def folder(self) -> Path:
        """Where the results go."""
        return self.artifacts.folder("evaluate", self.method.name)

    @property
    def classes(self) -> int:
        """Number of classes of the dataset, C."""
        return len(self.index.class_names)

    @cached_property
    def scored(self) -> tuple[int, ...]:
        """Ids of the classes in ``evaluate.classes``.

        Raises:
            UsageError: the dataset does not have one of them.
        """
        names = self.index.class_names
        unknown = [name for name in self.params.evaluate.classes if name not in names]
        if unknown:
            raise UsageError(f"evaluate.classes holds {', '.join(unknown)}: the dataset has {', '.join(names)}")
        return tuple(names.index(name) for name in dict.fromkeys(self.params.evaluate.classes))

    def truth(self, image: ImageRecord) -> NDArray[np.uint8]:
        """The ground truth of a photograph, ``(H, W)`` uint8; see :func:`load_checked` for errors."""
        path = Path(self.index.root) / self.params.evaluate.masks / f"{image.id}.png"
        return load_checked(path, (image.height, image.width), self.classes)

    def photo(self, image: ImageRecord) -> NDArray[np.uint8]:
        """The upright photograph, ``(H, W, 3)`` uint8.

        Raises:
            DataError: it cannot be read, or it is not the one that the index describes.
        """
        path = self.index.photo_path(image)
        rgb_u8 = load_photo(path)
        height, width = rgb_u8.shape[:2]
        if (height, width) != (image.height, image.width):
            raise DataError(
                f"{path} is {width} x {height} pixels, but the index says {image.width} x {image.height}: "
                "run `wsgcn dataset`"
            )
        return rgb_u8
