"""Format ``coco``: annotations of instances as the COCO dataset has them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from wsgcn.export.base import Contents, Format, LabelledPhoto
from wsgcn.export.regions import Region, find_regions, run_lengths
from wsgcn.vocabulary import BACKGROUND


class Coco(Format):
    """``annotations/instances_<split>.json`` with an annotation for each connected region, and ``images/<split>/``.

    Categories have their class ids, which leave out 0, the background, as COCO's do. Run lengths are not compressed:
    all readers know these, and they need no library to write.
    """

    def of_photo(self, photo: LabelledPhoto) -> Contents:
        """The photograph."""
        return {f"images/{photo.split}/{_file_name(photo)}": photo.jpeg}

    def of_all(self, photos: Sequence[LabelledPhoto], notes: Callable[[LabelledPhoto], Any], folder: Path) -> Contents:
        """The annotations."""
        return {f"annotations/instances_{photos[0].split}.json": partial(self._instances, photos, notes)}

    def note(self, photo: LabelledPhoto) -> list[dict[str, Any]]:
        """The photograph's annotations, without the numbers that they get among all."""
        return [_annotation(region, photo.size) for region in find_regions(photo.labels(len(self.class_names)))]

    def _instances(self, photos: Sequence[LabelledPhoto], notes: Callable[[LabelledPhoto], Any]) -> bytes:
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number, photo in enumerate(photos, 1):
            height, width = photo.size
            images.append({"id": number, "file_name": _file_name(photo), "width": width, "height": height})
            for note in notes(photo):
                annotations.append({"id": len(annotations) + 1, "image_id": number, **note})
        categories = [
            {"id": class_id, "name": name} for class_id, name in enumerate(self.class_names) if class_id != BACKGROUND
        ]
        content = {"images": images, "categories": categories, "annotations": annotations}
        return json.dumps(content, ensure_ascii=False).encode()


def _file_name(photo: LabelledPhoto) -> str:
    return f"{photo.id}.jpg"


def _annotation(region: Region, size: tuple[int, int]) -> dict[str, Any]:
    height, width = region.mask.shape
    return {
        "category_id": region.class_id,
        "segmentation": {"size": list(size), "counts": run_lengths(region, size)},
        "area": int(region.mask.sum()),
        "bbox": [region.left, region.top, width, height],
        "iscrowd": 0,  # COCO itself has run lengths for crowds alone, but trainers leave crowds out
    }
