"""Command ``export``: a method's finished pseudo labels for the trainers that people use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from wsgcn.errors import StageError
from wsgcn.export.base import Format, LabelledPhoto
from wsgcn.export.coco import Coco
from wsgcn.export.folder import claim_folder, write_changed
from wsgcn.export.png import Png
from wsgcn.export.voc import Voc
from wsgcn.export.yolo import Yolo
from wsgcn.runtime.progress import Warn
from wsgcn.runtime.workers import EachImage, map_images
from wsgcn.store.files import read_json, write_json
from wsgcn.store.index import Index, load_index
from wsgcn.store.paths import Artifacts

if TYPE_CHECKING:
    from wsgcn.methods import Method
    from wsgcn.params import Params

FORMATS: dict[str, type[Format]] = {"voc": Voc, "coco": Coco, "yolo": Yolo, "png": Png}
"""Every format by its word on the command line."""


def export_labels(
    params: Params, artifacts: Artifacts, method: Method, form: str, folder: Path, warn: Warn
) -> list[LabelledPhoto]:
    """Write the label maps of ``dataset.train_split``, and what belongs to them; files that are right are left alone.

    Args:
        params: the whole of ``params.yaml``.
        artifacts: where files lie.
        method: whose pseudo labels.
        form: one of ``FORMATS``.
        folder: new or empty, or of an earlier export of the same method in the same format.
        warn: told where the format wants labels for validation and there are none.

    Returns:
        What was exported, list by list.

    Raises:
        UsageError: the folder holds something else.
        DataError: the index is missing or broken, or the folder's list of files is.
        StageError: label maps are missing, before any work; or some photographs failed, after the others were written
            and without the files that list them all.
    """
    index = load_index(artifacts.index)
    split = params.dataset.train_split
    photos = _labelled(index, split, artifacts.folder("crf", method.name))
    advice = f"is missing: run `dvc repro crf@{method.name}`"
    missing = {photo.id: f"{photo.label_map} {advice}" for photo in photos if not _is_there(photo)}
    if missing:
        raise StageError("export", missing, len(photos))
    layout = FORMATS[form](index.class_names)
    if layout.validates and params.dataset.val_split != split:
        photos += _validation(index, params.dataset.val_split, artifacts, method, warn)
    _write(layout, form, method.name, photos, folder, params.runtime.workers)
    return photos


@dataclass(frozen=True)
class ExportPhoto:
    """Writes the files of one photograph; picklable.

    Attributes:
        layout: the format.
        folder: of the export.
        notes: folder for what the format notes of each photograph.
    """

    layout: Format
    folder: Path
    notes: Path

    def __call__(self, photo: LabelledPhoto) -> None:
        """Make every content, and write those that have changed.

        Raises:
            DataError: photograph or label map is missing, broken, or does not fit.
        """
        for name, content in self.layout.of_photo(photo).items():
            write_changed(self.folder / name, content())
        note = self.layout.note(photo)
        if note is not None:
            write_json(self._note(photo), note)

    def read_note(self, photo: LabelledPhoto) -> Any:
        """What was noted of a photograph."""
        return read_json(self._note(photo))

    def _note(self, photo: LabelledPhoto) -> Path:
        return self.notes / photo.split / f"{photo.id}.json"


def _write(layout: Format, form: str, method: str, photos: Sequence[LabelledPhoto], folder: Path, workers: int) -> None:
    with TemporaryDirectory(prefix="wsgcn-export-") as notes:
        work = ExportPhoto(layout, folder, Path(notes))
        of_all = layout.of_all(photos, work.read_note, folder)
        claim_folder(folder, form, method, {*of_all, *(name for one in photos for name in layout.of_photo(one))})
        groups = [[photo] for photo in photos]
        label = f"export {method}"
        try:
            map_images(EachImage(work), groups, stage="export", label=label, workers=workers, preload=__name__)
        except StageError:
            for name in of_all:  # they list everything: an earlier one would tell of labels that are no longer there
                (folder / name).unlink(missing_ok=True)
            raise
        for name, content in of_all.items():
            write_changed(folder / name, content())


def _labelled(index: Index, split: str, folder: Path) -> list[LabelledPhoto]:
    return [
        LabelledPhoto(image, index.photo_path(image), folder / f"{image.id}.png", split) for image in index.split(split)
    ]


def _is_there(photo: LabelledPhoto) -> bool:
    return photo.label_map.is_file()


def _validation(index: Index, split: str, artifacts: Artifacts, method: Method, warn: Warn) -> list[LabelledPhoto]:
    """The validation list with the labels of the method's network; none, and a warning, where these are not there."""
    folder = artifacts.folder("evaluate", method.name) / "val_crf"
    photos = _labelled(index, split, folder)
    if all(map(_is_there, photos)):
        return photos
    warn(
        f"{folder} lacks labels of {split}, so that the training list is exported for validation too: "
        f"`dvc repro evaluate@{method.name}` makes them"
    )
    return []
