"""What every kind of affinity has."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsgcn.sections import TrainedKind

if TYPE_CHECKING:
    from wsgcn.store.fingerprints import DigestedFile
    from wsgcn.store.index import ImageRecord
    from wsgcn.store.records import Affinity
    from wsgcn.training.job import TrainingJob


class AffinityKind(TrainedKind):
    """How the cells of a photograph are related: a sparse graph, and features of its nodes."""

    @property
    def backbone(self) -> str | None:
        """Name of the backbone of its network; None = it has none."""
        return None

    def learn(
        self, job: TrainingJob, variant: str, cams: Callable[[str], Path], seeds: Path, start: DigestedFile
    ) -> None:
        """Train, and write the job's checkpoint and history; here nothing is trained and the history is empty.

        Args:
            job: photographs, seed, devices, files to write.
            variant: its name, which seeds random numbers.
            cams: file of an image's CAMs, by its id.
            seeds: folder for label maps that teach the network.
            start: checkpoint of the CAM source's network, from which a backbone may start.
        """
        shutil.rmtree(seeds, ignore_errors=True)
        job.learn_nothing()

    def graph_settings(self) -> dict[str, Any]:
        """The parameters that decide the graph beside the network."""
        return {"kind": self.kind, **self.dump("infer")}

    def reads(self, image: ImageRecord, photo: Path) -> list[Path]:
        """The files of one image that decide its graph; the network's is always among what decides it."""
        return [photo]

    def prepare(self, network: DigestedFile, device: str) -> None:
        """Raise an error that concerns all images, such as a checkpoint of another network, before the first one."""

    def graph(self, image: ImageRecord, photo: Path, network: DigestedFile, device: str) -> Affinity:
        """The affinity graph and the node features of one photograph.

        Args:
            image: the photograph.
            photo: its file.
            network: checkpoint that :meth:`learn` wrote; a kind that learns nothing has none.
            device: where to compute.

        Raises:
            DataError: a file is missing or broken.
        """
        raise NotImplementedError
