"""The per-image stages ``propagate`` and ``crf`` on photographs of a project, with any number of workers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from wsgcn.crf.stage import write_pseudo_labels
from wsgcn.propagate.stage import write_scores
from wsgcn.store.index import load_index, save_index
from wsgcn.store.paths import Artifacts

if TYPE_CHECKING:
    from wsgcn.methods import Method
    from wsgcn.params import Params


@dataclass(frozen=True)
class Photographs:
    """Propagates and refines the first training photographs of the project here into a temporary folder; picklable.

    Its CAMs and affinity are read, and nothing is written there. The store of finished work is a temporary folder too:
    from the project's own, results would be linked instead of computed.

    Attributes:
        params: of the project.
        method: whose propagation and CRF.
        count: photographs.
        workers: processes.
    """

    params: Params
    method: Method
    count: int
    workers: int

    def __call__(self) -> Callable[[], object]:
        """The call, with the temporary folder made."""
        folder = tempfile.TemporaryDirectory()
        root = Path(folder.name)
        source, target = Artifacts(Path("artifacts").absolute()), Artifacts(root)
        for stage in ("cams", "affinity"):
            (root / stage).symlink_to(source.folder(stage, self.method.variant.name).parent)
        index = load_index(source.index)
        images = index.split(self.params.dataset.train_split)[: self.count]
        save_index(target.index, replace(index, images=tuple(images)))
        runtime = self.params.runtime.model_copy(update={"workers": self.workers, "store": str(root / "store")})
        params = self.params.model_copy(update={"runtime": runtime})

        def call() -> None:
            with folder:
                write_scores(params, target, self.method, lambda values, step: None)
                write_pseudo_labels(params, target, self.method)

        return call
