"""Dataset ``voc``: a folder in the layout of the PASCAL VOC devkit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from wsgcn.dataset.base import Dataset

if TYPE_CHECKING:
    from wsgcn.store.index import ImageRecord, Index


class Voc(Dataset):
    """``ImageSets/Segmentation/<split>.txt``, ``Annotations/<id>.xml`` and ``JPEGImages/<id>.jpg`` below ``root``."""

    kind: Literal["voc"]
    root: str

    def read(self, folder: Path) -> Index:
        """Photographs and annotations of the lists."""
        from wsgcn.dataset.devkit import read_devkit

        return read_devkit(self.name, Path(self.root), self.classes, self.splits)

    def unlabelled(self, split: str) -> list[ImageRecord]:
        """The photographs of a list."""
        from wsgcn.dataset.devkit import list_photographs

        return self.bounded(list_photographs(Path(self.root), split))
