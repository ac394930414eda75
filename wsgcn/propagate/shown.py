"""The propagation of one photograph, computed again step by step, so that a person can see what each step does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsgcn.errors import DataError, WsgcnError
from wsgcn.propagate.stage import placed, score_maker
from wsgcn.store.index import ImageRecord, Index
from wsgcn.store.paths import Artifacts
from wsgcn.store.records import Scores

if TYPE_CHECKING:
    from wsgcn.methods import Method
    from wsgcn.params import Params


def method_to_show(params: Params, artifacts: Artifacts, image_id: str, name: str | None) -> Method:
    """The method of this name, or the first one that can propagate a photograph with what is on disk.

    Raises:
        UsageError: no method has the name.
        DataError: what it reads of the photograph is missing.
    """
    methods = params.all_methods() if name is None else [params.method(name)]
    for one in methods:
        if not _missing(artifacts, one, image_id):
            return one
    stage = _missing(artifacts, methods[0], image_id)
    what = "any method" if name is None else name
    raise DataError(f"what {what} starts from is missing for {image_id}: run `dvc repro {stage}`")


def _missing(artifacts: Artifacts, method: Method, image_id: str) -> str | None:
    """The stage of DVC after which a photograph can be propagated; None where it can."""
    reads = ("cams", "affinity") if method.propagation.reads_affinity else ("cams",)
    name = method.variant.name
    missing = [stage for stage in reads if not artifacts.arrays(stage, name, image_id).is_file()]
    return f"{missing[-1]}@{name}" if missing else None


def steps_shown(
    params: Params, artifacts: Artifacts, method: Method, index: Index, image: ImageRecord
) -> list[tuple[str, Scores]]:
    """Captions and scores of a photograph: of the variant's baselines, then of each step of the method.

    The last scores are those that stage ``propagate`` saves, with the parameters as they are now.

    Raises:
        UsageError: a GPU is too small.
        DataError: a file is missing or broken.
    """
    baselines = [
        one
        for one in params.all_methods()
        if one.variant.name == method.variant.name
        and one.propagation.baseline > method.propagation.baseline
        and not _missing(artifacts, one, image.id)
    ]
    return [step for one in (*baselines, method) for step in _steps(params, artifacts, one, index, image)]


def _steps(
    params: Params, artifacts: Artifacts, method: Method, index: Index, image: ImageRecord
) -> list[tuple[str, Scores]]:
    maker = score_maker(params, artifacts, method, index)
    photograph = maker.read(image)
    steps = []
    for caption, found in method.propagation.steps_shown(photograph, maker.device):
        scores = placed(found, photograph)
        if isinstance(scores, WsgcnError):
            raise scores
        steps.append((caption, scores))
    return steps
