"""Stage ``crf``: scores on the grid become complete pseudo labels of the photograph's size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wsgcn.crf.refine import refine
from wsgcn.runtime.per_image import make_files
from wsgcn.store.fingerprints import file_digest, fingerprint, read_fingerprint, require_fingerprint
from wsgcn.store.index import ImageRecord, load_index
from wsgcn.store.label_maps import save_label_map
from wsgcn.store.paths import Artifacts
from wsgcn.store.photos import load_photo
from wsgcn.store.records import Scores, load_record
from wsgcn.vocabulary import Method

if TYPE_CHECKING:
    from wsgcn.params import LabelCrf, Params


def run(params: Params, artifacts: Artifacts, method: Method) -> None:
    """Write ``crf/<method>/<id>.png`` for every training photograph that lacks an up-to-date one."""
    index = load_index(artifacts.index)
    images = index.split(params.dataset.train_split)
    settings = params.crf.gcn if method.propagation == "gcn" else params.crf.random_walk
    make = MakeLabels(artifacts, index.root, method, settings)
    make_files(
        make,
        images,
        artifacts=artifacts,
        stage="crf",
        name=method.name,
        suffix=".png",
        workers=params.runtime.workers,
    )


@dataclass(frozen=True)
class MakeLabels:
    """Loads one image's scores and photograph, refines, saves the label map."""

    artifacts: Artifacts
    root: str
    method: Method
    params: LabelCrf

    def __call__(self, image: ImageRecord) -> bool:
        """Make one image's file; False where it is up to date."""
        scores_path = self.artifacts.arrays("propagate", self.method.name, image.id)
        photo = Path(self.root) / image.photo
        inputs = [require_fingerprint(scores_path), file_digest(photo)]
        mark = fingerprint("crf", [self.params.model_dump()], inputs)
        path = self.artifacts.label_map("crf", self.method.name, image.id)
        if read_fingerprint(path) == mark:
            return False
        record = load_record(scores_path, Scores)
        save_label_map(path, refine(record.class_ids, record.scores, load_photo(photo), self.params), mark)
        return True
