"""The index: the dataset as every stage sees it, photographs and image-level labels, no masks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict, TypeAdapter

from wsgcn.errors import DataError
from wsgcn.store.devkit import is_name
from wsgcn.store.files import read_json, reading, write_json


@dataclass(frozen=True)
class ImageRecord:
    """One photograph of the dataset: what is known of it before any stage runs.

    Attributes:
        id: name without suffix.
        photo: path of the photograph below the dataset's root.
        height: rows in pixels, after the EXIF rotation is applied.
        width: columns in pixels, likewise.
        class_ids: foreground classes that the photograph shows, ascending, never empty.
        splits: names of the split lists that hold it.
        digest: of the photograph's file, so that DVC sees a changed photograph in the index, which every later stage
            depends on; "" where nobody needs it.
        shrunk: rows and columns to which the stages shrink a large photograph before they look at it; None = it is seen
            as it is.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    id: str
    photo: str
    height: int
    width: int
    class_ids: tuple[int, ...]
    splits: tuple[str, ...]
    digest: str = ""
    shrunk: tuple[int, int] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the photograph, and of its labels."""
        return self.height, self.width

    @property
    def seen(self) -> tuple[int, int]:
        """Rows and columns at which the stages see it."""
        return self.shrunk or self.size


@dataclass(frozen=True)
class Index:
    """The dataset as every stage sees it: photographs and image-level labels, no masks.

    Attributes:
        name: what reports call the dataset.
        root: folder of the devkit (``JPEGImages``, ``Annotations``, …), absolute or relative to the project.
        class_names: names by class id, background first.
        images: every photograph of every split, in order of id.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    name: str
    root: str
    class_names: tuple[str, ...]
    images: tuple[ImageRecord, ...]

    def split(self, name: str) -> list[ImageRecord]:
        """The photographs of one split list, in order of id.

        Raises:
            DataError: no photograph belongs to it.
        """
        images = [image for image in self.images if name in image.splits]
        if not images:
            known = ", ".join(sorted({split for image in self.images for split in image.splits}))
            raise DataError(f"the index holds no photograph of split {name!r}: it has {known}")
        return images

    def photo_path(self, image: ImageRecord) -> Path:
        """Where the photograph lies."""
        return Path(self.root) / image.photo


def largest(images: Iterable[ImageRecord]) -> tuple[int, int]:
    """Pixels of the largest photograph, and of the largest one as the stages see it; 0 where there is none."""
    sizes = [(math.prod(one.size), math.prod(one.seen)) for one in images]
    return max((pixels for pixels, _ in sizes), default=0), max((seen for _, seen in sizes), default=0)


def save_index(path: Path, index: Index) -> None:
    """Write the index as JSON."""
    write_json(path, asdict(index))


def load_index(path: Path) -> Index:
    """Read the index.

    Raises:
        DataError: it is missing or was written by another version, or what it says cannot be.
    """
    content = read_json(path)
    with reading(path, "is not an index of this version", "run `wsgcn dataset`"):
        index = TypeAdapter(Index).validate_python(content)
        for image in index.images:
            _check(image, len(index.class_names))
    return index


def _check(image: ImageRecord, classes: int) -> None:
    if not is_name(image.id):
        raise ValueError(f"{image.id!r} is no name of a file")
    if not all(1 <= seen <= own for seen, own in zip(image.seen, image.size)):
        raise ValueError(f"{image.id} has {image.height} x {image.width} pixels, seen at {list(image.seen)}")
    if not all(0 < one < classes for one in image.class_ids) or [*image.class_ids] != sorted({*image.class_ids}):
        raise ValueError(f"{image.id} shows the classes {[*image.class_ids]}")
