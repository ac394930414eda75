"""Import of class activation maps: every file of another project is checked, and kept as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from wsgcn.cams.imported_maps import NOTE, normalised, require_shape
from wsgcn.cams.layouts import LAYOUTS, ForeignMaps
from wsgcn.errors import DataError, StageError, UsageError
from wsgcn.runtime.per_image import PerImage, make_files
from wsgcn.store.code import code_version
from wsgcn.store.files import write_json
from wsgcn.store.fingerprints import file_digest, read_fingerprint, tree_digest
from wsgcn.store.finished import FinishedWork
from wsgcn.store.index import ImageRecord, load_index
from wsgcn.store.paths import Artifacts, in_project
from wsgcn.store.records import Cams, save_record

if TYPE_CHECKING:
    from wsgcn.params import Params


def import_cams(params: Params, artifacts: Artifacts, source: Path, layout: str, folder: Path) -> dict[str, Any]:
    """Write ``<folder>/<id>.npz`` for every training photograph, and when all are there a note of them.

    What an earlier import wrote there, and these files do not have, is deleted.

    Args:
        params: which photographs train, workers, where finished work is kept.
        artifacts: where the index is.
        source: folder with a file for each photograph, named by its id.
        layout: how the files are made, a word of :data:`~wsgcn.cams.layouts.LAYOUTS`.
        folder: of the project and outside of ``artifacts``, which DVC empties.

    Returns:
        The note: number of photographs, format, names of the classes, digest of all that was written.

    Raises:
        StageError: files are missing, broken, or do not fit their photograph; the others were imported.
        UsageError: ``source`` is no folder or ``folder`` itself, or ``folder`` has what no import wrote.
        DataError: there is no index.
    """
    if not source.is_dir():
        raise UsageError(f"{source} is no folder: name the one with a file of maps for each photograph")
    if source.resolve() == folder.resolve():
        raise UsageError(f"{folder} is where an import is kept: name the folder that another project wrote")
    _require_own(folder)
    index = load_index(artifacts.index)
    images = index.split(params.dataset.train_split)
    finished = FinishedWork(in_project(params.runtime.store))
    make = ImportCams(folder, code_version(__name__), finished, source, layout, index.class_names)
    runtime = params.runtime
    try:
        make_files(
            make,
            images,
            stage="cams-import",
            label=f"cams-import {folder.name}",
            workers=runtime.workers,
            store_gb=runtime.store_gb,
        )
    except StageError as error:
        for image_id in error.failures:  # an earlier import's would pass for this one's
            make.path(image_id).unlink(missing_ok=True)
        raise
    note = {
        "photographs": len(images),
        "format": layout,
        "classes": [*index.class_names],
        "digest": tree_digest(folder),
    }
    write_json(folder / NOTE, note)
    return note


def _require_own(folder: Path) -> None:
    """An import deletes what it finds in its folder, so nothing else may be there."""
    found = [path for path in folder.iterdir() if path.name != NOTE] if folder.is_dir() else []
    others = [path.name for path in found if path.suffix != ".part" and read_fingerprint(path) is None]
    if others:
        raise UsageError(
            f"{folder} holds {others[0]}, which no import wrote, or is damaged: move it away, or give another --name"
        )


@dataclass(frozen=True)
class ImportCams(PerImage[Cams]):
    """Reads the maps of a photograph, checks them, saves them."""

    source: Path
    layout: str
    class_names: tuple[str, ...]

    suffix: ClassVar[str] = ".npz"

    def inputs(self, image: ImageRecord) -> list[str]:
        """The digest of the foreign file."""
        return [file_digest(self._file(image))]

    def settings(self, image: ImageRecord) -> object:
        """How the file is read, and what is known of the photograph."""
        return ["cams-import", self.layout, self.class_names, image.class_ids, image.height, image.width]

    def compute(self, image: ImageRecord) -> Cams:
        """The maps of the photograph's classes, in the order of these, each with maximum 1."""
        path = self._file(image)
        found = LAYOUTS[self.layout].read(path, self.class_names)
        order = self._order(path, found, image)
        several = [found.cams, *([] if found.high_res is None else [found.high_res])]
        for maps in several:
            if not np.isfinite(maps).all():
                wrong = [name for name, one in zip(found.names, maps) if not np.isfinite(one).all()]
                raise DataError(f"{path} has numbers that are not finite in the map of {', '.join(wrong)}")
            require_shape(path, maps, (image.height, image.width))
        ready = [normalised(maps[order].clip(min=0)) for maps in several]
        return Cams(np.array(image.class_ids, dtype=np.int64), *ready)

    def save(self, path: Path, result: Cams, mark: str) -> None:
        """Write the arrays."""
        save_record(path, result, mark)

    def _order(self, path: Path, found: ForeignMaps, image: ImageRecord) -> list[int]:
        """Positions in the file of the photograph's classes; the file must have these and no others."""
        wanted = [self.class_names[one] for one in image.class_ids]
        missing = [name for name in wanted if name not in found.names]
        others = [name for name in found.names if name not in wanted]
        twice = {name for name in found.names if found.names.count(name) > 1}
        said = [
            *([f"lacks {', '.join(missing)}"] if missing else []),
            *([f"has a map of {', '.join(others)}"] if others else []),
            *([f"has two maps of {', '.join(sorted(twice))}"] if twice else []),
        ]
        if said:
            raise DataError(f"{path} {' and '.join(said)}: by its tags the photograph shows {', '.join(wanted)}")
        return [found.names.index(name) for name in wanted]

    def _file(self, image: ImageRecord) -> Path:
        return self.source / f"{image.id}{LAYOUTS[self.layout].suffix}"
