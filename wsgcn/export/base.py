"""What every format has: names of files, and what is to be in them."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsgcn.errors import DataError
from wsgcn.store.index import ImageRecord
from wsgcn.store.label_maps import load_labels_of
from wsgcn.store.photos import load_photo, photo_size, photo_turned

Contents = Mapping[str, Callable[[], bytes]]
"""By path below the folder, POSIX: what makes the file's content. The names are known before any work is done."""

_JPEG = b"\xff\xd8\xff"
"""The first bytes of every JPEG file, whatever its suffix."""
_QUALITY = 95


@dataclass(frozen=True)
class LabelledPhoto:
    """A photograph and its label map.

    Attributes:
        record: what the index says of it.
        photo: its file.
        label_map: palette PNG of class ids, 255 = unlabelled.
        split: the list with which it is exported.
    """

    record: ImageRecord
    photo: Path
    label_map: Path
    split: str

    @property
    def id(self) -> str:
        """Name without suffix."""
        return self.record.id

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns in pixels of the upright photograph."""
        return self.record.size

    def labels(self, classes: int) -> NDArray[np.uint8]:
        """``(H, W)`` class ids below ``classes``, 255 = unlabelled.

        Raises:
            DataError: the label map is missing or broken, has another size, or holds an unknown class.
        """
        return load_labels_of(self.label_map, self.record, classes)

    def png(self, classes: int) -> bytes:
        """The label map's file, once it is known to be whole; errors are those of :meth:`labels`."""
        self.labels(classes)
        return self.label_map.read_bytes()

    def jpeg(self) -> bytes:
        """The photograph as a JPEG file that is upright without its EXIF data; one that is so already, byte for byte.

        Raises:
            DataError: the photograph is missing or broken, or has another size than the index says.
        """
        height, width = photo_size(self.photo)
        if (height, width) != self.size:
            raise DataError(
                f"{self.photo} is {width} x {height} pixels, but the index says {self.size[1]} x {self.size[0]}: "
                "run `dvc repro`"
            )
        content = self.photo.read_bytes()
        if content.startswith(_JPEG) and not photo_turned(self.photo):
            return content
        file = io.BytesIO()
        Image.fromarray(load_photo(self.photo)).save(file, format="JPEG", quality=_QUALITY)
        return file.getvalue()


@dataclass(frozen=True)
class Format(ABC):
    """One way to lay out photographs and label maps; picklable, so that worker processes can use it.

    Attributes:
        class_names: by class id, background first.
        validates: trainers that read it want a second list, for validation.
    """

    class_names: tuple[str, ...]

    validates: ClassVar[bool] = False

    @abstractmethod
    def of_photo(self, photo: LabelledPhoto) -> Contents:
        """The files of one photograph.

        Making a content raises:
            DataError: photograph or label map is missing, broken, or does not fit.
        """

    @abstractmethod
    def of_all(self, photos: Sequence[LabelledPhoto], notes: Callable[[LabelledPhoto], Any], folder: Path) -> Contents:
        """The files of all photographs together, which are written last.

        Args:
            photos: list by list, the training list first.
            notes: what :meth:`note` gave for a photograph.
            folder: where everything goes.
        """

    def note(self, photo: LabelledPhoto) -> Any:
        """What :meth:`of_all` has to know of a label map, as JSON knows it; found in a worker process.

        Raises:
            DataError: the label map is missing, broken, or does not fit.
        """
        return None
