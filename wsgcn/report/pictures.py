"""Pictures as the page holds them: JPEGs in data URIs, so that it opens without a network and away from its project."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsgcn.errors import DataError
from wsgcn.ops.panels import find_legend, label_overlay
from wsgcn.report.results import Picture
from wsgcn.store.files import reading
from wsgcn.store.index import Index
from wsgcn.store.label_maps import load_labels_of
from wsgcn.store.paths import Artifacts
from wsgcn.store.photos import load_photo

PANEL_SCALE = 0.75
PANEL_WIDTH = 1500  # pixels; many panels must not make the page slow to open
TILE_SIDE = 420  # pixels, longer side of a tile
JPEG_QUALITY = 82


def panel_picture(path: Path, report: Path) -> Picture:
    """A panel that an evaluation drew, scaled.

    Args:
        path: of the panel.
        report: folder of the page, to which the link is relative.

    Raises:
        DataError: the panel is broken.
    """
    with reading(path, "is no whole picture", "make it again (dvc repro)"), Image.open(path) as panel:
        rgb = panel.convert("RGB")
    size = _scaled(rgb.size, min(PANEL_SCALE, PANEL_WIDTH / rgb.width))
    link = Path(os.path.relpath(path, report)).as_posix()
    return _picture(rgb.resize(size, Image.Resampling.LANCZOS), rgb.width, link)


@dataclass(frozen=True)
class Tiles:
    """A photograph, and with it the labels of some methods.

    Attributes:
        pictures: the photograph first, then the labels of each method.
        legend: class id and name of what the labels show.
    """

    pictures: Sequence[Picture]
    legend: Sequence[tuple[int, str]]


def draw_tiles(artifacts: Artifacts, index: Index, image_id: str, methods: Sequence[str]) -> Tiles:
    """Draw a photograph and the labels after the CRF of some methods over it; ground truth is none of the report's.

    Args:
        artifacts: where the label maps are.
        index: knows the photograph.
        image_id: the photograph's.
        methods: names.

    Raises:
        DataError: the photograph or a label map is missing or broken, or one does not fit the other.
    """
    image = next((one for one in index.images if one.id == image_id), None)
    if image is None:
        raise DataError(f"{artifacts.index} does not know {image_id}: run dvc repro")
    photo = Image.fromarray(load_photo(index.photo_path(image)))
    size = _scaled(photo.size, min(1, TILE_SIDE / max(photo.size)))
    rgb_u8 = np.asarray(photo.resize(size, Image.Resampling.LANCZOS))
    paths = [artifacts.label_map("crf", name, image_id) for name in methods]
    # Scaled before they are drawn, a large photograph costs no more.
    maps = [_scaled_labels(load_labels_of(path, image, len(index.class_names)), size) for path in paths]
    drawn = [rgb_u8, *(label_overlay(rgb_u8, labels) for labels in maps)]
    return Tiles([_picture(Image.fromarray(one), size[0]) for one in drawn], find_legend(maps, index.class_names))


def _scaled_labels(labels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A label map of ``size`` (width, height)."""
    return np.asarray(Image.fromarray(labels).resize(size, Image.Resampling.NEAREST))


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _picture(rgb: Image.Image, own_width: int, link: str = "") -> Picture:
    file = io.BytesIO()
    rgb.save(file, format="JPEG", quality=JPEG_QUALITY, optimize=True)
    uri = "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
    return Picture(uri, rgb.size, own_width, link)
