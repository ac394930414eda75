"""A small project whose pseudo labels hold what is hard to export."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import real_content
from wsgcn.export.stage import export_labels
from wsgcn.params import parse_params
from wsgcn.store.index import ImageRecord, Index, save_index
from wsgcn.store.label_maps import save_label_map
from wsgcn.store.paths import Artifacts

CLASSES = ("background", "cat", "Hündin & <Welpe>", "house, old")
METHOD = "WSGCN-I"
SIZE = (12, 17)  # rows, columns
PHOTOS = {
    "a b": "a b.jpg",
    "Bärbel": "sub/Bärbel.png",
    "garden__c.d": "garden/c.d.JPEG",
    "empty": "empty.webp",
    "turned": "turned.jpg",
}
"""Photographs of the training list by id."""
SHOWN = {"a b": (1, 3), "Bärbel": (2,), "garden__c.d": (3,), "empty": (1,), "turned": (1, 2)}
VALIDATION = "v1"
TURN = 6  # EXIF: the camera was held upright


def label_maps() -> dict[str, np.ndarray]:
    """``(H, W)`` class ids by photograph, all unlike their mirror images."""
    maps = {image_id: np.zeros(SIZE, dtype=np.uint8) for image_id in PHOTOS}
    ring = maps["a b"]  # a ring with a hole and an island in it, and regions on every border
    ring[2:9, 3:11] = 1
    ring[4:7, 5:9] = 0
    ring[5, 6] = 3
    ring[0, :5] = ring[:, 16] = ring[11, 2:6] = 3
    ring[9:, 0] = 255
    corners = maps["Bärbel"]  # touching by a corner in both directions, a diamond around a hole, single pixels
    for row, column in ((1, 1), (2, 2), (3, 1), (2, 0), (4, 2), (0, 0), (11, 16), (8, 8)):
        corners[row, column] = 2
    corners[5:8, 10:13] = 2
    corners[8:10, 13:15] = 2
    maps["garden__c.d"][:] = 3  # everything
    maps["empty"][3:5] = 255  # nothing
    turned = maps["turned"] = np.zeros(SIZE[::-1], dtype=np.uint8)  # the upright one has as many rows as columns there
    turned[1:3, 2:9] = 1
    turned[3, 9] = 2
    turned[2, 9] = 255
    return maps


class Project:
    """A project folder that has label maps of one method."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.root = folder / "photographs"
        self.artifacts = Artifacts(folder / "artifacts")
        self.labels = label_maps()
        self.warnings: list[str] = []
        content = real_content()
        content["dataset"]["classes"] = list(CLASSES)
        content["runtime"]["workers"] = 1
        content["evaluate"]["classes"] = list(CLASSES)
        self.content = content
        records = [self._record(image_id, photo) for image_id, photo in PHOTOS.items()]
        path = self._picture("v1.jpg", SIZE)
        records.append(ImageRecord(VALIDATION, path, *SIZE, (1,), ("val",)))
        self.save(records)
        for image_id, labels in self.labels.items():
            save_label_map(self.label_map(image_id), labels, "mark")

    def save(self, records) -> None:
        self.records = sorted(records, key=lambda one: one.id)
        save_index(self.artifacts.index, Index("own", str(self.root), CLASSES, tuple(self.records)))

    def label_map(self, image_id: str) -> Path:
        return self.artifacts.label_map("crf", METHOD, image_id)

    def validate(self) -> np.ndarray:
        """Labels that the method's network gave the photograph of the validation list."""
        labels = np.zeros(SIZE, dtype=np.uint8)
        labels[4:6, 3:9] = 2
        save_label_map(self.artifacts.folder("evaluate", METHOD) / "val_crf" / f"{VALIDATION}.png", labels, "mark")
        return labels

    def export(self, form: str, folder: Path | None = None, method: str = METHOD, **values):
        """Export to ``out``, or another folder."""
        content = {**self.content, "runtime": {**self.content["runtime"], **values}}
        params = parse_params(content, "params.yaml")
        out = folder or self.folder / "out"
        return export_labels(params, self.artifacts, params.method(method), form, out, self.warnings.append)

    def _record(self, image_id: str, photo: str) -> ImageRecord:
        upright = self.labels[image_id].shape
        return ImageRecord(
            image_id, self._picture(photo, upright, image_id == "turned"), *upright, SHOWN[image_id], ("train",)
        )

    def _picture(self, photo: str, upright: tuple[int, int], turned: bool = False) -> str:
        path = self.root / photo
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width = upright[::-1] if turned else upright
        picture = Image.new("RGB", (width, height), "green")
        picture.paste("red", (0, 0, width // 2, height // 3))
        exif = Image.Exif()
        if turned:
            exif[0x0112] = TURN
        picture.save(path, exif=exif)
        return photo


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def files(folder: Path) -> Mapping[str, bytes]:
    """Content by path below the folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
