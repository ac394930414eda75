"""Stages ``cams-train`` and ``cams``: train the network of a CAM source, then write the CAMs of every photograph."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from wsgcn.cams.album import Album
from wsgcn.cams.base import CamSource, SeenFile
from wsgcn.nets.build import network_memory
from wsgcn.runtime.cluster import Cluster
from wsgcn.runtime.devices import pick_device
from wsgcn.runtime.per_image import PerImage, make_files
from wsgcn.stages import stage_code
from wsgcn.store.fingerprints import DigestedFile, file_digest
from wsgcn.store.finished import FinishedWork
from wsgcn.store.index import ImageRecord, load_index
from wsgcn.store.paths import Artifacts, in_project
from wsgcn.store.records import Cams, save_record
from wsgcn.training.job import TrainingJob

if TYPE_CHECKING:
    from wsgcn.methods import Variant
    from wsgcn.params import Params
    from wsgcn.runtime.shard import Shard


def train_cam_source(params: Params, artifacts: Artifacts, variant: Variant) -> None:
    """Train what the variant's CAM source trains on image-level labels; save its checkpoint and history."""
    index = load_index(artifacts.index)
    variant.cams.learn(
        TrainingJob(
            index=index,
            images=index.split(params.dataset.train_split),
            runtime=params.runtime,
            finished=FinishedWork(in_project(params.runtime.store)),
            code=stage_code(params, "cams-train", variant.name),
            checkpoint=artifacts.checkpoint("cams-train", variant.name),
            history=artifacts.history("cams-train", variant.name),
            learned=artifacts.learned("cams-train", variant.name),
            section=f"cams.{variant.cams_name}.train",
            label=f"cams-train {variant.name}",
        ),
        artifacts.root / variant.after,
    )


def write_cams(params: Params, artifacts: Artifacts, variant: Variant, shard: Shard | None = None) -> None:
    """Write ``cams/<variant>/<id>.npz`` for every training photograph (of the shard) that lacks an up-to-date one."""
    index = load_index(artifacts.index)
    device = pick_device(params.runtime.device)
    make = MakeCams(
        folder=artifacts.folder("cams", variant.name),
        code=stage_code(params, "cams", variant.name),
        finished=FinishedWork(in_project(params.runtime.store)),
        root=index.root,
        class_names=index.class_names,
        source=variant.cams,
        device=str(device),
        network=DigestedFile.of(artifacts.checkpoint("cams-train", variant.name)),
        index=DigestedFile.of(artifacts.index),
        split=params.dataset.train_split,
    )
    variant.cams.prepare(make.network, make.class_names, make.device)
    make_files(
        make,
        index.split(params.dataset.train_split),
        stage="cams",
        label=f"cams {variant.name}",
        workers=params.runtime.workers if device.type == "cpu" else 1,
        store_gb=params.runtime.store_gb,
        summary=artifacts.summary("cams", variant.name),
        shard=shard,
        cluster=Cluster.of(params.runtime, str(device)),
        network=network_memory(variant.cams.backbone, variant.cams.largest_scale, make.network.path, make.device),
    )


@dataclass(frozen=True)
class MakeCams(PerImage[Cams]):
    """Asks the source for the CAMs of a photograph, saves them."""

    root: str
    class_names: tuple[str, ...]
    source: CamSource
    device: str
    network: DigestedFile
    index: DigestedFile
    split: str

    suffix: ClassVar[str] = ".npz"

    def inputs(self, image: ImageRecord) -> list[str]:
        """The network's digest, and those of what the source reads, and of the photographs that it compares."""
        reads = [*self.source.reads(image, self._photo(image)), *(path for path, _ in self._company(image))]
        return [self.network.digest, *map(file_digest, reads)]

    def settings(self, image: ImageRecord) -> object:
        """How the source makes its maps, and of which classes."""
        return ["cams", self.source.kind, self.source.dump("infer"), self.class_names, image.class_ids]

    def compute(self, image: ImageRecord) -> Cams:
        """The maps, ``(K-1, h, w)``, and perhaps finer ones."""
        photo, others = self._photo(image), (self.network, self.class_names, self.device)
        if self.source.compares:
            return self.source.record_in_company(image, photo, self._company(image), *others)
        return self.source.record(image, photo, *others)

    def save(self, path: Path, result: Cams, mark: str) -> None:
        """Write the arrays."""
        save_record(path, result, mark)

    def _photo(self, image: ImageRecord) -> Path:
        return Path(self.root) / image.photo

    def _company(self, image: ImageRecord) -> list[SeenFile]:
        if not self.source.compares:
            return []
        album, images = _album(self.index, self.split)
        company = [images[one] for one in self.source.company(image, album)]
        return [(self._photo(one), one.shrunk) for one in company]


@lru_cache(maxsize=1)
def _album(index: DigestedFile, split: str) -> tuple[Album, dict[str, ImageRecord]]:
    """The photographs of a split by their classes, and by their ids; read once a process."""
    images = {image.id: image for image in load_index(index.path).split(split)}
    return Album.of({image.id: image.class_ids for image in images.values()}), images
