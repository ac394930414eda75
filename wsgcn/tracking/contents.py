"""What an MLflow run of a method holds besides its parameters, read from disk and git. Needs no MLflow."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from wsgcn import __version__
from wsgcn.errors import DataError
from wsgcn.store.files import read_mapping, read_numbers, read_table, reading, shortened
from wsgcn.store.fingerprints import file_digest
from wsgcn.store.paths import Artifacts
from wsgcn.tracking.parameters import MAX_NAME, flatten

if TYPE_CHECKING:
    from wsgcn.methods import Method

LABELS, NETWORK = PARTS = ("labels", "network")
"""The parts of a run, each completed when its stage has run: the pseudo labels, and the network they trained."""

STAGES = {LABELS: "evaluate-labels", NETWORK: "evaluate"}
"""Word of the stage that scores each part."""

CHECKPOINT, LOSSES = "model", "tables/losses.csv"
CAMS_HISTORY, AFFINITY_HISTORY, HISTORY = (f"tables/{name}history.csv" for name in ("cams_", "affinity_", ""))
SCORES = {part: f"scores/{part}.json" for part in PARTS}
"""Names of the files that are logged in a way of their own, or also as curves and numbers."""

LAST_STEP, LARGEST_LOSS = 2**53, 3.4e38
"""What a whole number among floats, and a float32, is at most."""

PREFIXES = {CAMS_HISTORY: "cams", AFFINITY_HISTORY: "affinity", HISTORY: "seg"}
"""How the names of each training's curves begin: ``cams_loss``."""


class Point(NamedTuple):
    """One value of a curve."""

    name: str
    step: int
    value: float
    milliseconds: int


def milliseconds() -> int:
    """The time, as MLflow counts it."""
    return int(time.time() * 1000)


def run_name(method: Method) -> str:
    """The method, and behind it the name of the experiment where ``dvc exp run`` works: the one of ``dvc exp show``."""
    experiment = os.environ.get("DVC_EXP_NAME")
    return f"{method.name} ({experiment})" if experiment else method.name


def git_tags() -> dict[str, str]:
    """The commit of the project's folder; none where there is no git or no commit."""
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    commit = done.stdout.strip()
    return {"git_commit": commit, "mlflow.source.git.commit": commit}


def files_of(artifacts: Artifacts, method: Method, part: str) -> dict[str, Path]:
    """The files of a method that are there, and those that are not although the stage that scores them has run.

    Args:
        artifacts: where files lie.
        method: whose files.
        part: one of :data:`PARTS`.

    Returns:
        Paths by the name that the file gets in the MLflow run.
    """
    return _label_files(artifacts, method) if part == LABELS else _network_files(artifacts, method)


def _label_files(artifacts: Artifacts, method: Method) -> dict[str, Path]:
    expected = {
        CAMS_HISTORY: artifacts.history("cams-train", method.variant.name),
        AFFINITY_HISTORY: artifacts.history("affinity-train", method.variant.name),
        **({LOSSES: artifacts.losses(method.name)} if method.propagation.losses else {}),
    }
    return _scored_files(artifacts.scores(STAGES[LABELS], method.name), LABELS, expected)


def _network_files(artifacts: Artifacts, method: Method) -> dict[str, Path]:
    expected = {
        HISTORY: artifacts.history("segtrain", method.name),
        CHECKPOINT: artifacts.checkpoint("segtrain", method.name),
    }
    return _scored_files(artifacts.scores(STAGES[NETWORK], method.name), NETWORK, expected)


def _scored_files(scores: Path, part: str, expected: Mapping[str, Path]) -> dict[str, Path]:
    """The scores, what lies beside them and what must have been there before; without scores only what is there."""
    if not scores.is_file():
        return {name: path for name, path in expected.items() if path.is_file()}
    panels = scores.parent / "panels"
    return {
        SCORES[part]: scores,
        f"tables/{part}_per_class.csv": scores.parent / "per_class.csv",
        **expected,
        **{f"panels/{part}/{path.relative_to(panels).as_posix()}": path for path in sorted(panels.glob("**/*.png"))},
    }


def digest_of(files: Mapping[str, Path]) -> str:
    """Of the content of all files and of the code that logs them."""
    content = [__version__, *(f"{name} {file_digest(path)}" for name, path in sorted(files.items()))]
    return hashlib.sha256("\n".join(content).encode()).hexdigest()


def curves(files: Mapping[str, Path], method: Method) -> list[Point]:
    """Loss and learning rate of every training over its steps, and the mean of each loss of the propagation, one point.

    Args:
        files: as of :func:`files_of`, those that are there.
        method: the kind of its propagation begins the names of its losses: ``gcn_total``.
    """
    now = milliseconds()
    points = [
        Point(f"{prefix}_{name}", step, value, now)
        for file, prefix in PREFIXES.items()
        if file in files
        for name, step, value in _curve(files[file])
    ]
    losses = loss_columns(files[LOSSES]) if LOSSES in files else {}
    return points + [Point(f"{method.propagation.kind}_{name}", 0, fmean(one), now) for name, one in losses.items()]


def _curve(file: Path) -> list[tuple[str, int, float]]:
    """The points of a training's history: name of the column, step and value.

    Raises:
        DataError: the file is broken, or a step is no whole number.
    """
    columns = read_numbers(file)
    with reading(file, "is no history of a training", "make it again (dvc repro)"):
        steps = columns.pop("step", [])
        if any(not step.is_integer() or abs(step) > LAST_STEP for step in steps):
            raise ValueError("a step that is no count of updates")
        return [
            (name, int(step), one) for name, values in columns.items() for step, one in zip(steps, values, strict=True)
        ]


def loss_columns(file: Path) -> dict[str, list[float]]:
    """The losses of every photograph, in the order of the file, by the name of the loss; none where it has no rows.

    Raises:
        DataError: the file is broken or names no photographs, or a loss is no number that float32 has.
    """
    columns = read_numbers(file)
    if columns:
        loss_ids(file)
    for name, values in columns.items():
        if not all(abs(value) <= LARGEST_LOSS for value in values):
            raise DataError(f"{file} has losses in {shortened(name)} that are not finite: make it again (dvc repro)")
    return columns


def loss_ids(file: Path) -> list[str]:
    """The photographs of :func:`loss_columns`.

    Raises:
        DataError: the file is broken or names none.
    """
    rows = read_table(file)
    with reading(file, "has no losses by photograph", "make it again (dvc repro)"):
        return [row["id"] for row in rows]


def numbers_in(files: Mapping[str, Path]) -> dict[str, float]:
    """Every number of the scores that are among a part's files.

    Raises:
        DataError: a file does not hold scores by name.
    """
    found: dict[str, float] = {}
    for name in SCORES.values():
        if name in files:
            scores = read_mapping(files[name])
            with reading(files[name], "holds what is no score", "make it again (dvc repro)"):
                found |= numbers(scores)
    return found


def numbers(scores: Mapping[str, Any]) -> dict[str, float]:
    """Every number of nested mappings, flat; those of a class as ``pseudo_iou/cat``."""
    return {
        re.sub(r"[^\w \0-]", "_", name).replace("\0", "/")[:MAX_NAME]: float(value)
        for name, value in flatten(scores, "\0")  # a class may be called anything, a/b too
        if isinstance(value, int | float)
    }
