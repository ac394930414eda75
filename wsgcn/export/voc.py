"""Format ``voc``: the layout of the PASCAL VOC devkit, which our own kind of dataset ``voc`` reads too."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from wsgcn.export.base import Contents, Format, LabelledPhoto
from wsgcn.store.devkit import PHOTOS, SPLITS


class Voc(Format):
    """Photographs, label maps, image-level labels as annotations, the list, and ``labels.txt`` with a class a line."""

    def of_photo(self, photo: LabelledPhoto) -> Contents:
        """Photograph, label map and annotation."""
        return {
            f"{PHOTOS}/{photo.id}.jpg": photo.jpeg,
            f"SegmentationClass/{photo.id}.png": partial(photo.png, len(self.class_names)),
            f"Annotations/{photo.id}.xml": partial(self._annotation, photo),
        }

    def of_all(self, photos: Sequence[LabelledPhoto], notes: Callable[[LabelledPhoto], Any], folder: Path) -> Contents:
        """The list, and the names by class id."""
        return {
            f"{SPLITS}/{photos[0].split}.txt": partial(_lines, [photo.id for photo in photos]),
            "labels.txt": partial(_lines, self.class_names),
        }

    def _annotation(self, photo: LabelledPhoto) -> bytes:
        """XML with an object for each class that the photograph is known to show; nobody knows their boxes."""
        root = ET.Element("annotation")
        ET.SubElement(root, "filename").text = f"{photo.id}.jpg"
        size = ET.SubElement(root, "size")
        for name, value in (("width", photo.size[1]), ("height", photo.size[0]), ("depth", 3)):
            ET.SubElement(size, name).text = str(value)
        ET.SubElement(root, "segmented").text = "1"
        for class_id in photo.record.class_ids:
            ET.SubElement(ET.SubElement(root, "object"), "name").text = self.class_names[class_id]
        ET.indent(root)
        return f"{ET.tostring(root, encoding='unicode')}\n".encode()


def _lines(names: Sequence[str]) -> bytes:
    return "".join(f"{name}\n" for name in names).encode()
