"""Stage ``propagate``: from CAMs and affinity graphs to scores, by whatever kind of propagation the method has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from wsgcn.errors import WsgcnError
from wsgcn.ops.grid import Grid
from wsgcn.propagate.base import Propagation, PropagationInput
from wsgcn.runtime.cluster import Cluster
from wsgcn.runtime.per_image import PerImage, make_files
from wsgcn.runtime.progress import LogMetrics
from wsgcn.runtime.seeds import seed_for
from wsgcn.stages import stage_code
from wsgcn.store.files import write_table
from wsgcn.store.fingerprints import file_digest, require_fingerprint
from wsgcn.store.finished import FinishedWork
from wsgcn.store.index import ImageRecord, Index, load_index
from wsgcn.store.paths import Artifacts, in_project
from wsgcn.store.photos import load_photo
from wsgcn.store.records import Affinity, Cams, Scores, load_record, load_record_of, save_record
from wsgcn.store.saliency import load_saliency, saliency_digest
from wsgcn.vocabulary import BACKGROUND

if TYPE_CHECKING:
    from wsgcn.methods import Method
    from wsgcn.params import Params
    from wsgcn.runtime.shard import Shard


def write_scores(
    params: Params, artifacts: Artifacts, method: Method, log: LogMetrics, shard: Shard | None = None
) -> None:
    """Write ``propagate/<method>/<id>.npz`` for every training photograph (of the shard) that lacks an up-to-date one.

    The losses of a kind that learns, at each photograph's last step, go into ``losses/<method>.csv`` and, as they come,
    to ``log`` over the image's position; a shard leaves the table to the stage without one.
    """
    index = load_index(artifacts.index)
    images = index.split(params.dataset.train_split)
    kind = method.propagation
    position = {image.id: number for number, image in enumerate(images)}

    def losses(image_id: str) -> dict[str, float]:
        record = load_record(artifacts.arrays("propagate", method.name, image_id), Scores)
        return dict(zip(kind.losses, record.losses[-1].tolist(), strict=True))

    def finished(image_id: str) -> None:
        if kind.losses:
            values = {f"{kind.kind}_{name}": value for name, value in losses(image_id).items()}
            log(values, position[image_id])

    make = score_maker(params, artifacts, method, index)
    make_files(
        make,
        images,
        stage="propagate",
        label=f"propagate {method.name}",
        workers=params.runtime.workers,
        store_gb=params.runtime.store_gb,
        summary=artifacts.summary("propagate", method.name),
        finished=finished,
        shard=shard,
        cluster=Cluster.of(params.runtime, make.device),
    )
    if shard is not None:
        return
    rows = [[image.id, *losses(image.id).values()] for image in images] if kind.losses else []
    write_table(artifacts.losses(method.name), ("id", *kind.losses), rows)


def score_maker(params: Params, artifacts: Artifacts, method: Method, index: Index) -> MakeScores:
    """What propagates the photographs of a method."""
    return MakeScores(
        folder=artifacts.folder("propagate", method.name),
        code=stage_code(params, "propagate", method.name),
        finished=FinishedWork(in_project(params.runtime.store)),
        root=index.root,
        artifacts=artifacts,
        variant=method.variant.name,
        method=method.name,
        kind=method.propagation,
        run_seed=params.runtime.seed,
        device=method.propagation.device(params.runtime.device),
    )


@dataclass(frozen=True)
class MakeScores(PerImage[Scores]):
    """Reads what the kind needs of a photograph, has it propagated, saves the scores."""

    root: str
    artifacts: Artifacts
    variant: str
    method: str
    kind: Propagation
    run_seed: int
    device: str

    suffix: ClassVar[str] = ".npz"

    def inputs(self, image: ImageRecord) -> list[str]:
        """CAMs, and graph, photograph and saliency map where the kind reads them."""
        marks = [require_fingerprint(self._arrays("cams", image))]
        if self.kind.reads_affinity:
            marks.append(require_fingerprint(self._arrays("affinity", image)))
        if self.kind.reads_photo:
            marks.append(file_digest(Path(self.root) / image.photo))
        if self.kind.saliency:
            marks.append(saliency_digest(self.kind.saliency.folder, image))
        return marks

    def settings(self, image: ImageRecord) -> object:
        """The kind's parameters, and what seeds its random numbers."""
        seeds = [self.run_seed, self.method, image.id] if self.kind.seeded else []
        return ["propagate", self.kind.kind, self.kind.dump(), seeds]

    def together(self, images: Sequence[ImageRecord]) -> list[list[ImageRecord]]:
        """As many at once as the kind wants."""
        return self.kind.together(images, self.device)

    def compute(self, image: ImageRecord) -> Scores:
        """The scores of one photograph."""
        (result,) = self.compute_together([image])
        if isinstance(result, WsgcnError):
            raise result
        return result

    def compute_together(self, images: Sequence[ImageRecord]) -> list[Scores | WsgcnError]:
        """The scores of several; what cannot be read is an error in its place, and the others are propagated."""
        read = [self._try_to_read(image) for image in images]
        whole = [one for one in read if isinstance(one, PropagationInput)]
        results = map(placed, self.kind.scores(whole, self.device) if whole else [], whole)
        return [next(results) if isinstance(one, PropagationInput) else one for one in read]

    def save(self, path: Path, result: Scores, mark: str) -> None:
        """Write the arrays."""
        save_record(path, result, mark)

    def read(self, image: ImageRecord) -> PropagationInput:
        """What the kind is given of one photograph.

        Raises:
            DataError: a file is missing or broken.
        """
        cams = load_record_of(self._arrays("cams", image), Cams, image)
        graph = self._arrays("affinity", image)
        affinity = load_record_of(graph, Affinity, image) if self.kind.reads_affinity else None
        saliency = load_saliency(self.kind.saliency.folder, image) if self.kind.saliency else None
        photo = load_photo(Path(self.root) / image.photo, image.shrunk) if self.kind.reads_photo else None
        height, width = (cams.cams if affinity is None else affinity.weights).shape[1:]
        stride = 0 if affinity is None else int(affinity.stride)
        grid = Grid((height, width), image.seen, stride)
        return PropagationInput(
            class_ids=np.concatenate([[BACKGROUND], cams.class_ids]).astype(np.int64),
            cams=grid.pooled(cams.cams),
            source_cams=cams.cams,
            grid=grid,
            affinity=affinity,
            rgb_u8=grid.colours(photo) if photo is not None else None,
            seed=seed_for(self.run_seed, self.method, image.id),
            saliency=None if saliency is None else grid.pooled(saliency[None], "edge")[0],
        )

    def _arrays(self, stage: str, image: ImageRecord) -> Path:
        return self.artifacts.arrays(stage, self.variant, image.id)

    def _try_to_read(self, image: ImageRecord) -> PropagationInput | WsgcnError:
        try:
            return self.read(image)
        except WsgcnError as error:
            return error


def placed(result: Scores | WsgcnError, one: PropagationInput) -> Scores | WsgcnError:
    """The scores with the place of their grid."""
    return replace(result, stride=np.array(one.grid.stride)) if isinstance(result, Scores) else result
