"""The per-image stages on photographs of a project, with any number of workers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wsgcn.affinity.learn import seed_maker
from wsgcn.affinity.learned import LearnedAffinity
from wsgcn.affinity.stage import write_affinity
from wsgcn.cams.stage import write_cams
from wsgcn.crf.stage import write_pseudo_labels
from wsgcn.errors import WsgcnError
from wsgcn.propagate.stage import write_scores
from wsgcn.store.finished import FinishedWork
from wsgcn.store.index import load_index, save_index
from wsgcn.store.paths import Artifacts

if TYPE_CHECKING:
    from wsgcn.methods import Method
    from wsgcn.params import Params

PER_IMAGE = ("cams", "affinity", "propagate", "crf")


@dataclass(frozen=True)
class Photographs:
    """Has stages do the first training photographs of the project here, into a temporary folder; picklable.

    What earlier stages made is read, and nothing is written there. The store of finished work is a temporary folder
    too: from the project's own, results would be linked instead of computed.

    Attributes:
        params: of the project.
        method: whose stages.
        count: photographs.
        workers: processes.
        stages: what is done, in order.
    """

    params: Params
    method: Method
    count: int
    workers: int
    stages: tuple[str, ...] = ("propagate", "crf")

    def __call__(self) -> Callable[[], object]:
        """The call, which is the same every time."""
        return self._run

    def _run(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            source, target = Artifacts(Path("artifacts").absolute()), Artifacts(root)
            for stage in ("cams-train", "cams", "affinity-train", "affinity", "propagate"):
                if stage not in self.stages:
                    (root / stage).symlink_to(source.root / stage)
            index = load_index(source.index)
            images = index.split(self.params.dataset.train_split)[: self.count]
            save_index(target.index, replace(index, images=tuple(images)))
            here = {"workers": self.workers, "engine": "processes", "store": str(root / "store")}
            runtime = self.params.runtime.model_copy(update=here)
            params = self.params.model_copy(update={"runtime": runtime})
            for stage in self.stages:
                _run_stage(stage, params, target, self.method)


def _run_stage(stage: str, params: Params, artifacts: Artifacts, method: Method) -> None:
    if stage == "cams":
        write_cams(params, artifacts, method.variant)
    elif stage == "affinity":
        write_affinity(params, artifacts, method.variant)
    elif stage == "propagate":
        write_scores(params, artifacts, method, lambda values, step: None)
    else:
        write_pseudo_labels(params, artifacts, method)


@dataclass(frozen=True)
class Seeds:
    """Makes what teaches the method's affinity network of the first training photographs; picklable."""

    params: Params
    method: Method
    count: int

    def __call__(self) -> Callable[[], object]:
        """The call, which is the same every time."""
        return self._run

    def _run(self) -> None:
        kind, artifacts = self.method.variant.affinity, Artifacts()
        assert isinstance(kind, LearnedAffinity)
        index, cams = load_index(artifacts.index), partial(artifacts.arrays, "cams", self.method.variant.name)
        with tempfile.TemporaryDirectory() as name:
            finished = FinishedWork(Path(name) / "store")
            make = seed_maker(kind)(Path(name) / "seeds", "bench", finished, index.root, kind, cams)
            for image in index.split(self.params.dataset.train_split)[: self.count]:
                (outcome,) = make([image])
                if isinstance(outcome, WsgcnError):
                    raise outcome
