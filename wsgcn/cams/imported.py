"""CAM source ``imported``: class activation maps of another method, which ``wsgcn cams-import`` brought here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from wsgcn.cams.base import CamSource
from wsgcn.sections import Outside, Section
from wsgcn.store.paths import in_project

if TYPE_CHECKING:
    from wsgcn.store.fingerprints import DigestedFile
    from wsgcn.store.index import ImageRecord
    from wsgcn.store.records import Cams


class ImportedInference(Section):
    """Where the maps are, and the grid that they come onto."""

    folder: Annotated[str, Outside]
    stride: Literal[1, 4, 8, 16]


class Imported(CamSource):
    """Maps that any other method made of the training photographs; no network of theirs is known here."""

    kind: Literal["imported"]
    train: None
    infer: ImportedInference

    def files(self) -> tuple[str, ...]:
        """The folder, with all that is in it."""
        return (self.infer.folder,)

    def reads(self, image: ImageRecord, photo: Path) -> list[Path]:
        """The imported file; and the photograph, for its size."""
        return [photo, self._file(image)]

    def prepare(self, network: DigestedFile, class_names: Sequence[str], device: str) -> None:
        """Look whether the import was whole.

        Raises:
            DataError: it was not, or it was for other classes.
        """
        from wsgcn.cams.imported_maps import require_import

        require_import(in_project(self.infer.folder), class_names)

    def record(
        self, image: ImageRecord, photo: Path, network: DigestedFile, class_names: Sequence[str], device: str
    ) -> Cams:
        """The imported maps on the grid and, where they are finer, of every pixel."""
        from wsgcn.cams.imported_maps import imported_cams

        return imported_cams(self._file(image), image, self.infer.stride)

    def _file(self, image: ImageRecord) -> Path:
        return in_project(self.infer.folder) / f"{image.id}.npz"
