"""Label maps: palette PNGs of class ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from wsgcn.errors import DataError
from wsgcn.store.files import write_atomic
from wsgcn.vocabulary import palette

FINGERPRINT = "fingerprint"
"""Key of the fingerprint among a PNG's texts."""


def save_label_map(path: Path, labels: NDArray[np.uint8], fingerprint: str) -> None:
    """Write an ``(H, W)`` map of class ids (255 = unlabelled) as a palette PNG with its fingerprint."""
    image = Image.fromarray(labels)
    image.putpalette(palette())
    info = PngImagePlugin.PngInfo()
    info.add_text(FINGERPRINT, fingerprint)
    write_atomic(path, lambda file: image.save(file, format="PNG", pnginfo=info))


def load_label_map(path: Path) -> NDArray[np.uint8]:
    """Read a map of class ids, ``(H, W)`` uint8.

    Raises:
        DataError: the file is missing, broken, or is a picture in colour.
    """
    try:
        with Image.open(path) as image:
            if image.mode not in ("P", "L"):
                raise DataError(f"mode {image.mode}, not a palette of class ids")
            return np.array(image, dtype=np.uint8)
    except FileNotFoundError:
        raise DataError(f"{path} is missing") from None
    except (OSError, ValueError, SyntaxError, DataError) as error:
        raise DataError(f"{path} is not a label map ({error})") from error
