"""What an MLflow run of a method holds, from parameters, disk and git; nothing here needs MLflow."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from wsgcn import __version__
from wsgcn.store.files import read_table
from wsgcn.store.fingerprints import file_digest
from wsgcn.store.paths import Artifacts

if TYPE_CHECKING:
    from wsgcn.params import Params
    from wsgcn.vocabulary import Method

MAX_NAME, MAX_VALUE = 250, 6000
"""MLflow's own limits: characters of a name and of a parameter's value."""

CHECKPOINT, HISTORY, LOSSES = "model", "tables/history.csv", "tables/losses.csv"
"""Names of what is recorded in a way of its own."""


class Point(NamedTuple):
    """One value of a curve."""

    name: str
    step: int
    value: float
    milliseconds: int


class Recorded(NamedTuple):
    """What a complete run holds: the method's name, its parameters as :func:`flat_params`, its numbers."""

    method: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]


def milliseconds() -> int:
    """The time, as MLflow counts it."""
    return int(time.time() * 1000)


def run_name(method: Method) -> str:
    """The method, and behind it the name of the experiment where ``dvc exp run`` works: the one of ``dvc exp show``."""
    experiment = os.environ.get("DVC_EXP_NAME")
    return f"{method.name} ({experiment})" if experiment else method.name


def flat_params(params: Params) -> dict[str, str]:
    """The parameters that decide a result, flat, by dotted name."""
    content = params.model_dump(mode="json", exclude={"runtime": {"device", "workers"}, "tracking": True})
    flat = {}
    for name, value in _flatten(content, "."):
        flat[name[:MAX_NAME]] = (value if isinstance(value, str) else json.dumps(value))[:MAX_VALUE]
    return flat


def _flatten(content: Mapping[str, Any], separator: str) -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}{separator}{below}", one) for below, one in _flatten(value, separator))
        else:
            yield name, value


def differing_only_in(runs: Iterable[Recorded], params: Params, *names: str) -> list[Recorded]:
    """The runs whose parameters are those given, but for the ones whose dotted name starts with one of these."""

    def rest(flat: Mapping[str, str]) -> dict[str, str]:
        return {name: value for name, value in flat.items() if not name.startswith(names)}

    wanted = rest(flat_params(params))
    return [run for run in runs if rest(run.params) == wanted]


def git_tags() -> dict[str, str]:
    """The commit of the project's folder; none where there is no git or no commit."""
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    commit = done.stdout.strip()
    return {"git_commit": commit, "mlflow.source.git.commit": commit}


def files_of(artifacts: Artifacts, method: Method) -> dict[str, Path]:
    """What is recorded of a method, by name, with the folder among the run's artifacts."""
    folder = artifacts.folder("evaluate", method.name)
    files = {
        "metrics.json": artifacts.metrics(method.name),
        "tables/per_class.csv": folder / "per_class.csv",
        HISTORY: artifacts.history("segtrain", method.name),
        CHECKPOINT: artifacts.checkpoint("segtrain", method.name),
    }
    if method.propagation == "gcn":
        files[LOSSES] = artifacts.losses(method.name)
    return files | {str(path.relative_to(folder)): path for path in sorted(folder.glob("panels/**/*.png"))}


def digest_of(files: Mapping[str, Path]) -> str:
    """Of the content of all files and of the code that records them."""
    content = [__version__, *(f"{name} {file_digest(path)}" for name, path in sorted(files.items()))]
    return hashlib.sha256("\n".join(content).encode()).hexdigest()


def curves(files: Mapping[str, Path]) -> list[Point]:
    """The GCN's losses over the image's position, and DeepLab's training."""
    losses = read_table(files[LOSSES]) if LOSSES in files else []
    history = read_table(files[HISTORY]) if HISTORY in files else []
    rows = [("gcn", position, row) for position, row in enumerate(losses)]
    rows += [("seg", int(row.pop("step")), row) for row in history]
    now = milliseconds()
    return [
        Point(f"{prefix}_{name}", step, float(value), now)
        for prefix, step, row in rows
        for name, value in row.items()
        if name != "id"
    ]


def numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Every number of ``metrics.json``; those of a class as ``pseudo_iou/cat``."""
    return {
        re.sub(r"[^\w \0-]", "_", name).replace("\0", "/")[:MAX_NAME]: float(value)
        for name, value in _flatten(metrics, "\0")  # a class may be called anything, a/b too
        if isinstance(value, int | float)
    }
