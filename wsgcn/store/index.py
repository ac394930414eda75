"""The index: the dataset as every stage sees it, photographs and image-level labels, no masks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wsgcn.errors import DataError
from wsgcn.store.files import read_json, write_json


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
        DataError: it is missing or was written by another version.
    """
    content = read_json(path)
    try:
        images = tuple(ImageRecord(**_with_tuples(image)) for image in content["images"])
        return Index(content["name"], content["root"], tuple(content["class_names"]), images)
    except (AttributeError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not an index of this version ({error}): run `wsgcn dataset`") from error


def _with_tuples(image: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(one) if isinstance(one, list) else one for name, one in image.items()}
