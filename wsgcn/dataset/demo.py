"""Dataset ``demo``: made-up pictures, drawn into the stage's own folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from wsgcn.dataset.base import Dataset
from wsgcn.ranges import Between, Positive, Seed

if TYPE_CHECKING:
    from wsgcn.store.index import Index

DEVKIT = Path("VOCdevkit/VOC2012")
"""Where the pictures lie in the stage's folder, in the layout of VOC's devkit."""


class Demo(Dataset):
    """Made-up animals in front of backgrounds: a classifier finds the face first, the rest is to be found."""

    kind: Literal["demo"]
    train_images: Positive
    val_images: Positive
    height: Annotated[int, Between(48, 4096)]
    width: Annotated[int, Between(48, 4096)]
    seed: Seed

    def read(self, folder: Path) -> Index:
        """Draw the pictures, the same bytes every time, and read them as any devkit."""
        from wsgcn.dataset.devkit import read_devkit
        from wsgcn.dataset.draw import make_demo

        make_demo(folder / DEVKIT, self.classes, self)
        return read_devkit(self.name, folder / DEVKIT, self.classes, self.splits)
