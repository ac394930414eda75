"""Dataset ``tagged``: any folder of photographs, and a table of their tags and lists."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from wsgcn.dataset.base import Dataset
from wsgcn.errors import DataError, StageError
from wsgcn.vocabulary import BACKGROUND

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wsgcn.dataset.tags import Tags
    from wsgcn.store.index import ImageRecord, Index


class Tagged(Dataset):
    """Photographs below ``root``; ``table`` has a line for each: its path there, its labels, its splits."""

    kind: Literal["tagged"]
    root: str
    table: str

    def read(self, folder: Path) -> Index:
        """Photographs of the table that are in one of the lists."""
        from wsgcn.dataset.tags import IMAGE, LABELS, SPLITS, read_tags
        from wsgcn.store.index import Index
        from wsgcn.store.photos import find_photographs

        rows = [one for one in read_tags(Path(self.table), IMAGE, LABELS, SPLITS) if set(one.splits) & {*self.splits}]
        if not rows:
            raise DataError(f"{self.table} has no photograph of {', '.join(self.splits)}: see its column {SPLITS}")
        class_ids = {name: class_id for class_id, name in enumerate(self.classes) if class_id != BACKGROUND}
        found = find_photographs(Path(self.root))
        images: dict[str, ImageRecord] = {}
        failures = {}
        for one in rows:
            try:
                if one.id in images:
                    raise DataError(f"{one.image} and {images[one.id].photo} have one id: rename one of them")
                images[one.id] = self._record(one, class_ids, found)
            except DataError as error:
                failures[one.image] = str(error)
        if failures:
            raise StageError("dataset", failures, len(rows))
        return Index(self.name, self.root, self.classes, tuple(images[one] for one in sorted(images)))

    def _record(self, tags: Tags, class_ids: Mapping[str, int], found: Mapping[str, str]) -> ImageRecord:
        from wsgcn.store.devkit import is_name
        from wsgcn.store.fingerprints import file_digest
        from wsgcn.store.index import ImageRecord
        from wsgcn.store.photos import photo_size

        unknown = [one for one in tags.labels if one not in class_ids]
        if unknown:
            raise DataError(
                f"{tags.image} is labelled {', '.join(unknown)} in {self.table}, which dataset.classes in params.yaml "
                f"does not know: known are {', '.join(class_ids)}"
            )
        if not tags.labels:
            raise DataError(f"{tags.image} has no label in {self.table}: write one, or take its line out")
        if tags.image not in found:
            raise DataError(f"{self.root} has no photograph {tags.image}: add it, or take its line out of {self.table}")
        if not is_name(tags.id):
            raise DataError(f"{tags.image!r} cannot be a file's name in every stage: rename the photograph")
        photo = found[tags.image]
        path = Path(self.root) / photo
        shown = tuple(sorted(class_ids[one] for one in tags.labels))
        return ImageRecord(tags.id, photo, *photo_size(path), shown, tags.splits, file_digest(path))
