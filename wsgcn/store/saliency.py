"""Saliency maps that another program made: a grey PNG for each photograph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsgcn.errors import DataError
from wsgcn.store.files import reading
from wsgcn.store.fingerprints import file_digest
from wsgcn.store.index import ImageRecord
from wsgcn.store.label_maps import read_map
from wsgcn.store.paths import in_project


def saliency_file(folder: str, image: ImageRecord) -> Path:
    """The map of a photograph: a PNG of 8 bits of grey, 255 = stands out most."""
    return in_project(folder) / f"{image.id}.png"


def saliency_digest(folder: str, image: ImageRecord) -> str:
    """Digest of a photograph's map.

    Raises:
        DataError: the file is missing.
    """
    path = saliency_file(folder, image)
    if not path.exists():
        raise DataError(f"{path} is missing: {_missing(folder)}")
    return file_digest(path)


def load_saliency(folder: str, image: ImageRecord) -> NDArray[np.float32]:
    """Read how much each pixel of a photograph stands out.

    Args:
        folder: of the maps, as ``params.yaml`` names it.
        image: the photograph.

    Returns:
        ``(H, W)`` float32 in [0, 1], of the size at which the photograph is seen.

    Raises:
        DataError: the file is missing or broken, is no 8-bit grey, or has another size than its photograph.
    """
    path = saliency_file(folder, image)
    with reading(path, "is no saliency map", "save it as a PNG of 8-bit grey, as large as it", _missing(folder)):
        grey = read_map(path, ["L"], image.size)
    if image.shrunk is not None:
        grey = np.array(Image.fromarray(grey).resize(image.shrunk[::-1], reducing_gap=3.0))
    return np.asarray(grey / 255, dtype=np.float32)


def _missing(folder: str) -> str:
    return f"make it, or set saliency: null where params.yaml has folder: {folder}"
