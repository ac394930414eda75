"""The per-image stages ``propagate`` and ``crf`` on photographs of a project, with any number of workers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from wsgcn.crf import stage as crf_stage
from wsgcn.propagate import stage as propagate_stage
from wsgcn.store.index import load_index, save_index
from wsgcn.store.paths import Artifacts
from wsgcn.vocabulary import METHODS

if TYPE_CHECKING:
    from wsgcn.params import Params


@dataclass(frozen=True)
class Photographs:
    """Propagates and refines the first training photographs of the project here into a temporary folder; picklable.

    Its CAMs and affinity are read, and nothing is written there.

    Attributes:
        params: of the project.
        method: name of the method.
        count: photographs.
        workers: processes.
    """

    params: Params
    method: str
    count: int
    workers: int

    def __call__(self) -> Callable[[], object]:
        """The call, with the temporary folder made."""
        folder = tempfile.TemporaryDirectory()
        root = Path(folder.name)
        source, target, method = Artifacts(Path("artifacts").absolute()), Artifacts(root), METHODS[self.method]
        for stage in ("cams", "affinity"):
            (root / stage).symlink_to(source.folder(stage, method.variant).parent)
        index = load_index(source.index)
        images = index.split(self.params.dataset.train_split)[: self.count]
        save_index(target.index, replace(index, images=tuple(images)))
        params = self.params.model_copy(
            update={"runtime": self.params.runtime.model_copy(update={"workers": self.workers})}
        )

        def call() -> None:
            with folder:
                propagate_stage.run(params, target, method, lambda values, step: None)
                crf_stage.run(params, target, method)

        return call
