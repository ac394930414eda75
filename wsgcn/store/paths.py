"""Where each stage keeps its files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


def in_project(path: str) -> Path:
    """A path that belongs to a project as a whole, such as that of finished work, wherever DVC runs a stage.

    ``dvc exp run --temp`` and ``--queue`` run it in a copy of the project, and say in ``DVC_ROOT`` where that lies.

    Args:
        path: of ``params.yaml``; an absolute one stays as it is.
    """
    return Path(os.environ.get("DVC_ROOT", ""), path)


@dataclass(frozen=True)
class Artifacts:
    """Where each stage keeps its files: ``<root>/<stage>/<variant or method>/…``."""

    root: Path = Path("artifacts")

    @property
    def index(self) -> Path:
        """The index that ``dataset`` writes."""
        return self.root / "dataset" / "index.json"

    def folder(self, stage: str, name: str) -> Path:
        """The folder of one variant or method of a stage."""
        return self.root / stage / name

    def checkpoint(self, stage: str, name: str) -> Path:
        """The trained network of ``cams-train``, ``affinity-train`` or ``segtrain``."""
        return self.folder(stage, name) / "checkpoint.pt"

    def history(self, stage: str, name: str) -> Path:
        """The training curve, one row per logged update."""
        return self.root / stage / f"{name}.history.csv"

    def learned(self, stage: str, name: str) -> Path:
        """The numbers that say whether the network of a training stage learned; all of them in one folder."""
        return self.root / "learned" / stage / f"{name}.json"

    def arrays(self, stage: str, name: str, image_id: str) -> Path:
        """The per-image arrays of ``cams``, ``affinity`` or ``propagate``."""
        return self.folder(stage, name) / f"{image_id}.npz"

    def label_map(self, stage: str, name: str, image_id: str) -> Path:
        """The per-image label map of ``crf``."""
        return self.folder(stage, name) / f"{image_id}.png"

    def losses(self, name: str) -> Path:
        """The losses of each photograph at the end of its learning, for a method that learns; else without rows."""
        return self.root / "losses" / f"{name}.csv"

    def summary(self, stage: str, name: str) -> Path:
        """Numbers of a per-image stage as a whole: how many images, seconds an image."""
        return self.root / stage / f"{name}.summary.json"

    def scores(self, stage: str, name: str) -> Path:
        """All the numbers of a method that ``evaluate-labels`` or ``evaluate`` found."""
        return self.folder(stage, name) / "scores.json"

    def metrics(self, stage: str, name: str) -> Path:
        """Those few of them that DVC compares."""
        return self.folder(stage, name) / "metrics.json"

    def photographs(self, name: str) -> Path:
        """The counts of each photograph that ``evaluate-labels`` found for a method."""
        return self.folder("evaluate-labels", name) / "photographs.npz"
