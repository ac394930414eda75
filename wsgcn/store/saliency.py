"""Saliency maps that another program made: a grey PNG for each photograph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsgcn.errors import DataError
from wsgcn.store.fingerprints import file_digest
from wsgcn.store.index import ImageRecord
from wsgcn.store.paths import in_project
from wsgcn.store.photos import UNREADABLE


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
        raise _missing(path, folder)
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
    try:
        with Image.open(path) as png:
            if png.mode != "L":
                raise DataError(f"mode {png.mode}, not 8 bits of grey")
            width, height = png.size
            grey = np.array(png if image.shrunk is None else png.resize(image.shrunk[::-1], reducing_gap=3.0))
    except FileNotFoundError:
        raise _missing(path, folder) from None
    except (*UNREADABLE, DataError) as error:
        raise DataError(f"{path} is no saliency map ({error}): save it as a PNG of 8-bit grey") from error
    if (height, width) != image.size:
        found = f"{width} x {height} pixels"
        raise DataError(f"{path} is {found}, but its photograph is {image.width} x {image.height}: replace it")
    return np.asarray(grey / 255, dtype=np.float32)


def _missing(path: Path, folder: str) -> DataError:
    return DataError(f"{path} is missing: make it, or set saliency: null where params.yaml has folder: {folder}")
