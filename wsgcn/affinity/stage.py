"""Stages ``affinity-train`` and ``affinity``: train what the affinity needs, then write graph and node features."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from wsgcn.affinity.base import AffinityKind
from wsgcn.nets.build import network_memory
from wsgcn.runtime.cluster import Cluster
from wsgcn.runtime.devices import pick_device
from wsgcn.runtime.per_image import PerImage, make_files
from wsgcn.stages import stage_code
from wsgcn.store.files import remove_others
from wsgcn.store.fingerprints import DigestedFile, file_digest
from wsgcn.store.finished import FinishedWork
from wsgcn.store.index import ImageRecord, load_index
from wsgcn.store.paths import Artifacts, in_project
from wsgcn.store.records import Affinity, save_record
from wsgcn.training.job import TrainingJob

if TYPE_CHECKING:
    from wsgcn.methods import Variant
    from wsgcn.params import Params
    from wsgcn.runtime.shard import Shard


def train_affinity_network(params: Params, artifacts: Artifacts, variant: Variant) -> None:
    """Train what the variant's affinity trains on its CAMs; save checkpoint, history and seeds."""
    index = load_index(artifacts.index)
    folder = artifacts.folder("affinity-train", variant.name)
    remove_others(folder, ["seeds", "checkpoint.pt"])
    variant.affinity.learn(
        TrainingJob(
            index=index,
            images=index.split(params.dataset.train_split),
            runtime=params.runtime,
            finished=FinishedWork(in_project(params.runtime.store)),
            code=stage_code(params, "affinity-train", variant.name),
            checkpoint=artifacts.checkpoint("affinity-train", variant.name),
            history=artifacts.history("affinity-train", variant.name),
            learned=artifacts.learned("affinity-train", variant.name),
            section=f"affinity.{variant.affinity_name}.train",
            label=f"affinity-train {variant.name}",
        ),
        variant.name,
        partial(artifacts.arrays, "cams", variant.name),
        folder / "seeds",
        DigestedFile.of(artifacts.checkpoint("cams-train", variant.name)),
    )


def write_affinity(params: Params, artifacts: Artifacts, variant: Variant, shard: Shard | None = None) -> None:
    """Write ``affinity/<variant>/<id>.npz`` for every training photograph (of the shard) that lacks a fitting one."""
    index = load_index(artifacts.index)
    device = pick_device(params.runtime.device)
    make = MakeAffinity(
        folder=artifacts.folder("affinity", variant.name),
        code=stage_code(params, "affinity", variant.name),
        finished=FinishedWork(in_project(params.runtime.store)),
        root=index.root,
        kind=variant.affinity,
        device=str(device),
        network=DigestedFile.of(artifacts.checkpoint("affinity-train", variant.name)),
    )
    variant.affinity.prepare(make.network, make.device)
    make_files(
        make,
        index.split(params.dataset.train_split),
        stage="affinity",
        label=f"affinity {variant.name}",
        workers=params.runtime.workers if device.type == "cpu" else 1,
        store_gb=params.runtime.store_gb,
        summary=artifacts.summary("affinity", variant.name),
        shard=shard,
        cluster=Cluster.of(params.runtime, str(device)),
        network=network_memory(variant.affinity.backbone, 1, make.network.path, make.device),
    )


@dataclass(frozen=True)
class MakeAffinity(PerImage[Affinity]):
    """Asks the kind for graph and node features of a photograph, saves them."""

    root: str
    kind: AffinityKind
    device: str
    network: DigestedFile

    suffix: ClassVar[str] = ".npz"

    def inputs(self, image: ImageRecord) -> list[str]:
        """The network's digest, and those of what the kind reads."""
        return [self.network.digest, *map(file_digest, self.kind.reads(image, self._photo(image)))]

    def settings(self, image: ImageRecord) -> object:
        """How the kind makes graph and features."""
        return ["affinity", self.kind.graph_settings(), image.class_ids]

    def compute(self, image: ImageRecord) -> Affinity:
        """Graph and node features."""
        return self.kind.graph(image, self._photo(image), self.network, self.device)

    def save(self, path: Path, result: Affinity, mark: str) -> None:
        """Write the arrays."""
        save_record(path, result, mark)

    def _photo(self, image: ImageRecord) -> Path:
        return Path(self.root) / image.photo
