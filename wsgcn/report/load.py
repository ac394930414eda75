"""Reading what the stages left of one method: scores, losses, confusions, curves, panels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsgcn.report.pictures import panel_picture
from wsgcn.report.results import LABELS_PART, REPORT_PARTS, Confusion, Curve, MethodResult, Part, Picture, network_owner
from wsgcn.store.files import read_mapping, read_numbers, read_table, reading
from wsgcn.store.learned import NETWORKS, check_measurement
from wsgcn.store.paths import Artifacts

if TYPE_CHECKING:
    from wsgcn.methods import Method


def report_folder(artifacts: Artifacts) -> Path:
    """Where the pages lie."""
    return artifacts.root / "report"


def load_result(artifacts: Artifacts, method: Method, parts: Sequence[Part], left_out: Sequence[str]) -> MethodResult:
    """Read all that the pages show of a method; what is not there stays empty.

    Args:
        artifacts: where its files are.
        method: the method.
        parts: those that were evaluated.
        left_out: words of the stages whose results are not to be used.

    Raises:
        DataError: a file is broken.
    """
    metrics: dict[str, Any] = {}
    for part in parts:
        metrics |= _read_scores(artifacts.scores(part.stage, method.name))
    shown = [part for part in REPORT_PARTS if part.stage not in left_out]
    panels, val_panels = (_panels(artifacts, part, method) if part in shown else {} for part in REPORT_PARTS)
    losses = _losses(artifacts.losses(method.name), method.propagation.losses if LABELS_PART in shown else ())
    confusions = {part.stage: _confusion(artifacts.confusion(part.stage, method.name)) for part in shown}
    curves = {stage: _curve(artifacts.history(stage, network_owner(method, stage))) for stage in NETWORKS}
    return MethodResult(method, metrics, losses, panels, val_panels, left_out, confusions, curves)


def _read_scores(path: Path) -> dict[str, Any]:
    """Numbers may be missing, and are then not shown; what they are of must be known."""
    scores = read_mapping(path)
    with reading(path, "does not hold the scores of a method", "delete it and make it again (dvc repro)"):
        if not isinstance(scores.get("dataset", ""), str) or not isinstance(scores.get("classes", []), list):
            raise ValueError("dataset must be a name, and classes a list of names")
        for stage in NETWORKS:
            if stage in scores:
                check_measurement(scores[stage])
    return scores


def _numbers(path: Path, columns: Sequence[str]) -> list[list[float]]:
    """Columns of a table; no rows where it is missing."""
    return [*read_numbers(path, columns).values()] if columns and path.exists() else [[] for _ in columns]


def _losses(path: Path, names: Sequence[str]) -> dict[str, list[float]]:
    """Columns with a mean, which the report shows; any other is unknown."""
    columns = dict(zip(names, _numbers(path, names)))
    return {name: values for name, values in columns.items() if values and all(map(math.isfinite, values))}


def _curve(path: Path) -> Curve:
    return list(zip(*_numbers(path, ("step", "loss"))))


def _confusion(path: Path) -> Confusion:
    """Of the stage's last step; empty where there was no ground truth."""
    found: dict[str, dict[str, float]] = {}
    rows = read_table(path) if path.exists() else []
    with reading(path, "holds no confusion matrix", "make it again (dvc repro)"):
        for row in rows:
            found.setdefault(row["actual"], {})[row["predicted"]] = float(row["share"])
    return found


def _panels(artifacts: Artifacts, part: Part, method: Method) -> dict[str, Picture]:
    """The panels that were drawn of a part of a method, by photograph."""
    paths = sorted((artifacts.folder(part.stage, method.name) / "panels").glob("*.png"))
    return {path.stem: panel_picture(path, report_folder(artifacts)) for path in paths}
