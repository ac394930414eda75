"""Complete the MLflow run of a method with everything that its stages left on disk."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wsgcn.errors import DataError
from wsgcn.runtime.progress import Warn
from wsgcn.store.paths import Artifacts
from wsgcn.tracking.connection import giving_up, is_away, patient
from wsgcn.tracking.contents import (
    CHECKPOINT,
    LOSSES,
    PARTS,
    STAGES,
    curves,
    digest_of,
    files_of,
    loss_columns,
    numbers_in,
)
from wsgcn.tracking.dataset import log_dataset
from wsgcn.tracking.losses import PICTURE, TABLE, write_losses
from wsgcn.tracking.packed import save_model
from wsgcn.tracking.recorded import RECORDED, parts_of_others, recorded_parts
from wsgcn.tracking.run import Run

if TYPE_CHECKING:
    from wsgcn.methods import Method
    from wsgcn.params import Params


def complete_run(
    params: Params, artifacts: Artifacts, method: Method, warn: Warn, parts: Sequence[str] | None = None
) -> tuple[str, ...]:
    """Complete a method's run with everything that is on disk; what the run has already is not logged again.

    A stage that has not run yet is no trouble: completing again when its files are there adds them to the same run.

    Args:
        params: the whole of ``params.yaml``.
        artifacts: where files lie.
        method: whose run to complete.
        warn: told of a file that is missing although its stage has run, and once a command if the store is away.
        parts: ``labels`` after ``evaluate-labels``, ``network`` after ``evaluate``, which these parameters have just
            made. None: all that is on disk, but for a part that is known as that of other parameters.

    Returns:
        Words of the stages whose part was left out so.
    """
    if is_away(params):
        return ()
    found = {part: _present(files_of(artifacts, method, part), method, warn) for part in parts or PARTS}
    found = {part: files for part, files in found.items() if files}
    others: tuple[str, ...] = ()
    try:
        with giving_up(params, warn):
            if found and parts is None:
                others = parts_of_others(params, method, {part: digest_of(files) for part, files in found.items()})
                for part in others:
                    warn(_of_others(artifacts, method, STAGES[part]))
            own = {part: files for part, files in found.items() if part not in others}
            if own:
                _complete(params, artifacts, method, own)
    except DataError as error:
        warn(f"the MLflow run of {method.name} is incomplete: {error}")
    return tuple(STAGES[part] for part in others)


def add_numbers(params: Params, method: Method, numbers: Mapping[str, float], warn: Warn) -> None:
    """Add to a method's complete run what follows from its files together with another method's.

    Args:
        params: the whole of ``params.yaml``.
        method: whose run.
        numbers: by name; one that changed replaces the older.
        warn: told once a command if the store is away.
    """
    if is_away(params) or not numbers:
        return
    with giving_up(params, warn):
        Run(params, method).replace(numbers)


def _of_others(artifacts: Artifacts, method: Method, stage: str) -> str:
    return (
        f"{artifacts.folder(stage, method.name)} was made with other parameters and is left out: run dvc repro, or "
        f"`wsgcn {stage} --method {method.name}` if that finds everything up to date"
    )


def _present(files: Mapping[str, Path], method: Method, warn: Warn) -> dict[str, Path]:
    """The files that are there; each of the others is a warning."""
    for path in files.values():
        if not path.is_file():
            warn(f"{path} is missing, so the MLflow run of {method.name} is completed without it")
    return {name: path for name, path in files.items() if path.is_file()}


def _complete(params: Params, artifacts: Artifacts, method: Method, found: Mapping[str, Mapping[str, Path]]) -> None:
    """Log the files of every part, unless the run says that it holds these very files."""
    digests = {part: digest_of(files) for part, files in found.items()}
    # Everything is read before there is a run: a damaged file must not leave one behind that seems to go on.
    points = [point for files in found.values() for point in curves(files, method)]
    scores = {part: numbers_in(files) for part, files in found.items()}
    run = Run(params, method)
    if digests.items() <= _recorded(run).items():
        run.finish()
        return
    with run.opened():
        # All curves before anything else: one that differs makes a new run, which then lacks every part.
        run.add(points, whole=True)
        if artifacts.index.is_file():
            log_dataset(run, artifacts.index)
        for part, files in found.items():
            if _recorded(run).get(part) != digests[part]:
                with patient():
                    run.replace(scores[part])
                    _log_part(run, params, method, files)
                recorded = _recorded(run) | {part: digests[part]}
                run.client.set_tag(run.id, RECORDED, " ".join(f"{name}={digest}" for name, digest in recorded.items()))


def _log_part(run: Run, params: Params, method: Method, files: Mapping[str, Path]) -> None:
    _log_files(run, {name: path for name, path in files.items() if name != CHECKPOINT})
    if LOSSES in files and loss_columns(files[LOSSES]):
        _log_losses(run, files[LOSSES])
    if CHECKPOINT in files:
        _log_model(run, params, method, files)


def _recorded(run: Run) -> dict[str, str]:
    return recorded_parts({RECORDED: run.tag(RECORDED) or ""})


def _log_files(run: Run, files: Mapping[str, Path]) -> None:
    """Log copies that have the names of the run: MLflow keeps a file's own name, and two are called per_class.csv."""
    with tempfile.TemporaryDirectory() as folder:
        for name, path in files.items():
            copy = Path(folder) / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        run.client.log_artifacts(run.id, folder)


def _log_losses(run: Run, file: Path) -> None:
    """The losses of every photograph as a table that MLflow shows, and their histograms."""
    with tempfile.TemporaryDirectory() as folder:
        write_losses(file, Path(folder))
        run.log_table(Path(folder) / TABLE, f"tables/{TABLE}")
        run.client.log_artifact(run.id, f"{folder}/{PICTURE}", "pictures")


def _log_model(run: Run, params: Params, method: Method, files: Mapping[str, Path]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        save_model(Path(folder) / "model", files[CHECKPOINT], params, method, numbers_in(files), run.id)
        run.client.log_artifacts(run.id, f"{folder}/model", "model")
