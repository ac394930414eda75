"""What every kind of dataset has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from wsgcn.errors import DataError, StageError, UsageError
from wsgcn.ranges import Megapixels
from wsgcn.sections import Kind

if TYPE_CHECKING:
    from wsgcn.store.index import ImageRecord, Index


class Dataset(Kind):
    """Photographs with image-level labels, in named lists.

    Attributes:
        name: what reports and MLflow call it.
        classes: names by class id, background first.
        train_split: photographs that get pseudo labels and train every network.
        score_split: photographs whose pseudo labels are scored.
        val_split: photographs that score the segmentation network.
        max_megapixels: a larger photograph is refused.
        work_megapixels: a larger photograph is shrunk to these before networks, graphs and CRFs see it; its labels have
            its own size.
    """

    name: str
    classes: Annotated[tuple[str, ...], Field(min_length=2, max_length=255)]
    train_split: str
    score_split: str
    val_split: str
    max_megapixels: Megapixels
    work_megapixels: Megapixels

    @model_validator(mode="after")
    def _classes_are_distinct(self) -> Dataset:
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("classes holds a name twice")
        return self

    @property
    def splits(self) -> tuple[str, ...]:
        """The lists that are used, each once."""
        return tuple(dict.fromkeys((self.train_split, self.score_split, self.val_split)))

    def read(self, folder: Path) -> Index:
        """Every photograph of the lists that are used.

        Args:
            folder: of the stage, for a kind that makes or converts pictures.

        Raises:
            DataError: something is missing, broken, or contradicts itself.
        """
        raise NotImplementedError

    def bounded(self, images: Iterable[ImageRecord]) -> list[ImageRecord]:
        """The photographs, each with the size at which the stages see it.

        Raises:
            StageError: some are too large.
        """
        from wsgcn.store.limits import require_allowed, shrunk_size

        found, failures = [], {}
        for image in images:
            try:
                require_allowed(image.size, self.max_megapixels)
            except DataError as error:
                failures[image.id] = str(error)
            found.append(replace(image, shrunk=shrunk_size(image.size, self.work_megapixels)))
        if failures:
            raise StageError("dataset", failures, len(found))
        return found

    def unlabelled(self, split: str) -> list[ImageRecord]:
        """The photographs of a list without labels, such as VOC's ``test``, paths as in the index.

        Raises:
            UsageError: this kind has no such lists.
            DataError: the list is missing or empty.
            StageError: photographs are missing or broken.
        """
        raise UsageError(f"a dataset of kind {self.kind} has no list without labels, such as VOC's test")
