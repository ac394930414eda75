"""Where ground-truth masks lie."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from wsgcn.store.index import ImageRecord


def find_masks(folder: Path, images: Iterable[ImageRecord]) -> Path | None:
    """The folder of the masks ``<id>.png`` if it holds one of these photographs' at least, else None."""
    return folder if any((folder / f"{image.id}.png").exists() for image in images) else None
