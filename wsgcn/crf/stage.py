"""Stage ``crf``: scores on the grid become complete pseudo labels of the photograph's size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from wsgcn.crf.base import Refinement
from wsgcn.ops.grid import covering_scores
from wsgcn.runtime.cluster import Cluster
from wsgcn.runtime.per_image import PerImage, make_files
from wsgcn.stages import stage_code
from wsgcn.store.fingerprints import file_digest, require_fingerprint
from wsgcn.store.finished import FinishedWork
from wsgcn.store.index import ImageRecord, load_index
from wsgcn.store.label_maps import save_label_map
from wsgcn.store.paths import Artifacts, in_project
from wsgcn.store.photos import load_photo
from wsgcn.store.records import Scores, load_record_of

if TYPE_CHECKING:
    from wsgcn.methods import Method
    from wsgcn.params import Params
    from wsgcn.runtime.shard import Shard


def write_pseudo_labels(params: Params, artifacts: Artifacts, method: Method, shard: Shard | None = None) -> None:
    """Write ``crf/<method>/<id>.png`` for every training photograph (of the shard) that lacks an up-to-date one."""
    index = load_index(artifacts.index)
    make_files(
        RefineScores(
            folder=artifacts.folder("crf", method.name),
            code=stage_code(params, "crf", method.name),
            finished=FinishedWork(in_project(params.runtime.store)),
            root=index.root,
            scores=artifacts.folder("propagate", method.name),
            kind=method.crf,
        ),
        index.split(params.dataset.train_split),
        stage="crf",
        label=f"crf {method.name}",
        workers=params.runtime.workers,
        store_gb=params.runtime.store_gb,
        summary=artifacts.summary("crf", method.name),
        shard=shard,
        cluster=Cluster.of(params.runtime),
    )


@dataclass(frozen=True)
class RefineScores(PerImage[NDArray[np.uint8]]):
    """Reads one image's scores and photograph, has them refined, saves the label map."""

    root: str
    scores: Path
    kind: Refinement

    suffix: ClassVar[str] = ".png"

    def inputs(self, image: ImageRecord) -> list[str]:
        """Scores and photograph."""
        return [require_fingerprint(self._scores(image)), file_digest(self._photo(image))]

    def settings(self, image: ImageRecord) -> object:
        """The kind's parameters."""
        return ["crf", self.kind.kind, self.kind.dump()]

    def compute(self, image: ImageRecord) -> NDArray[np.uint8]:
        """``(H, W)`` class ids."""
        record = load_record_of(self._scores(image), Scores, image)
        rgb_u8 = load_photo(self._photo(image), image.shrunk)
        seen, logarithmic = (rgb_u8.shape[0], rgb_u8.shape[1]), bool(record.logarithmic)
        scores = covering_scores(record.scores, seen, int(record.stride), logarithmic)
        return self.kind.labels(record.class_ids, scores, rgb_u8, logarithmic, image.size if image.shrunk else seen)

    def save(self, path: Path, result: NDArray[np.uint8], mark: str) -> None:
        """Write the label map."""
        save_label_map(path, result, mark)

    def _photo(self, image: ImageRecord) -> Path:
        return Path(self.root) / image.photo

    def _scores(self, image: ImageRecord) -> Path:
        return self.scores / f"{image.id}.npz"
