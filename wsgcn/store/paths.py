"""Where each stage keeps its files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


def original() -> Path | None:
    """The project that DVC has copied to run an experiment here (``dvc exp run --temp``, ``--queue``); else None.

    DVC says in ``DVC_ROOT`` where the repository is, and makes copies in its ``.dvc/tmp``. Elsewhere the variable may
    be that of another project, which runs this one.
    """
    root = os.environ.get("DVC_ROOT")
    here = Path.cwd()
    if not root or not here.is_relative_to(Path(root).resolve() / ".dvc" / "tmp"):
        return None
    copy = next(one for one in (here, *here.parents) if (one / ".dvc").is_dir())
    return Path(root) / here.relative_to(copy)


def in_project(path: str) -> Path:
    """A path that belongs to a project as a whole, such as that of finished work, wherever DVC runs a stage.

    Args:
        path: of ``params.yaml``; an absolute one stays as it is.
    """
    return (original() or Path()) / path


def borrow_files(paths: Iterable[str]) -> None:
    """Link into a copy of a project the files and folders that git ignores, and DVC so has not copied."""
    project = original()
    for path in paths if project else ():
        here = Path(path)
        if project and not here.is_absolute() and not here.exists() and (project / path).exists():
            here.parent.mkdir(parents=True, exist_ok=True)
            here.symlink_to((project / path).resolve())


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

    def confusion(self, stage: str, name: str) -> Path:
        """The confusion matrix of the last step that ``evaluate-labels`` or ``evaluate`` scored, as a table."""
        return self.folder(stage, name) / "confusion.csv"
