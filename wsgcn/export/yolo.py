"""Format ``yolo``: outlines as text, for YOLO's segmentation networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import yaml

from wsgcn.export.base import Contents, Format, LabelledPhoto
from wsgcn.export.regions import find_regions, outline
from wsgcn.vocabulary import BACKGROUND


class Yolo(Format):
    """``images/<split>/``, ``labels/<split>/<id>.txt`` with a polygon a line, and ``data.yaml``.

    A line is ``class x1 y1 x2 y2 …``: classes count from 0 without the background, x and y are fractions of width and
    height. The text cannot hold holes: they are filled.
    """

    validates: ClassVar[bool] = True

    def of_photo(self, photo: LabelledPhoto) -> Contents:
        """The photograph and its polygons."""
        return {
            f"images/{photo.split}/{photo.id}.jpg": photo.jpeg,
            f"labels/{photo.split}/{photo.id}.txt": partial(self._polygons, photo),
        }

    def of_all(self, photos: Sequence[LabelledPhoto], notes: Callable[[LabelledPhoto], Any], folder: Path) -> Contents:
        """What the trainer is started with."""
        return {"data.yaml": partial(self._data, [photo.split for photo in photos], folder)}

    def _polygons(self, photo: LabelledPhoto) -> bytes:
        lines = []
        for region in find_regions(photo.labels(len(self.class_names))):
            fractions = outline(region) / photo.size[::-1]
            numbers = " ".join(f"{value:.6f}" for value in fractions.flat)
            lines.append(f"{_yolo_class(region.class_id)} {numbers}\n")
        return "".join(lines).encode()

    def _data(self, splits: Sequence[str], folder: Path) -> bytes:
        """The training list validates where there is no other."""
        content = {
            "path": folder.absolute().as_posix(),  # YOLO looks for a relative one from where it is started
            "train": f"images/{splits[0]}",
            "val": f"images/{splits[-1]}",
            "names": {
                _yolo_class(class_id): name for class_id, name in enumerate(self.class_names) if class_id != BACKGROUND
            },
        }
        return yaml.safe_dump(content, allow_unicode=True, sort_keys=False).encode()


def _yolo_class(class_id: int) -> int:
    return class_id - 1
