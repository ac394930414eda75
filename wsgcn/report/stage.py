"""Stage ``report``: one page in HTML and in Markdown that compares all methods of which anything was evaluated."""

from __future__ import annotations

import base64
import io
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from PIL import Image
from rich.table import Table as RichTable
from rich.text import Text

from wsgcn.errors import DataError
from wsgcn.report.differences import label_differences
from wsgcn.report.page import html_page, markdown_page
from wsgcn.report.paper import paper_tables
from wsgcn.report.results import LABELS_PART, REPORT_PARTS, MethodResult, PanelImage, Part
from wsgcn.report.table import Table, comparison
from wsgcn.store.files import read_json, read_table, write_text
from wsgcn.store.paths import Artifacts

if TYPE_CHECKING:
    from wsgcn.params import Method, Params
    from wsgcn.tracking.finished import FinishedRun

PANEL_SCALE = 0.75
PANEL_WIDTH = 1500  # pixels; the page shows at most 1200, and many panels must not make it slow to open
JPEG_QUALITY = 82


def evaluated_methods(params: Params, artifacts: Artifacts) -> list[Method]:
    """The methods whose labels or network were evaluated."""
    return [
        one
        for one in params.all_methods()
        if any(artifacts.scores(part.stage, one.name).exists() for part in REPORT_PARTS)
    ]


def write_report(
    params: Params,
    artifacts: Artifacts,
    label_runs: Sequence[FinishedRun] = (),
    network_runs: Sequence[FinishedRun] = (),
    left_out: Mapping[str, Sequence[str]] | None = None,
) -> RichTable:
    """Write ``index.html`` and ``report.md`` into ``artifacts/report``.

    A method is in it as soon as its labels or its network were evaluated; what is not known stays open.

    Args:
        params: says which methods there are; everything else comes from what was evaluated.
        artifacts: where the methods' scores, panels and losses are.
        label_runs: what MLflow has for :func:`~wsgcn.report.paper.paper_tables`.
        network_runs: likewise.
        left_out: by method, words of the stages whose results on disk are of other parameters than today's, as
            :func:`~wsgcn.tracking.complete.complete_run` found them.

    Returns:
        The comparison, for the terminal.

    Raises:
        DataError: no method was evaluated, or a file of one is broken.
    """
    methods = params.all_methods()
    others = {method.name: (left_out or {}).get(method.name, ()) for method in methods}
    parts = {method.name: _parts(artifacts, method, others[method.name]) for method in methods}
    results = [_load(artifacts, one, parts[one.name], others[one.name]) for one in methods if parts[one.name]]
    if not results:
        folders = " and ".join(str(artifacts.root / part.stage) for part in REPORT_PARTS)
        raise DataError(
            f"{folders} hold no scores.json of a method "
            f"in params.yaml{' with its parameters' if left_out else ''}: evaluate one first (dvc repro)"
        )
    missing = [method.name for method in methods if not parts[method.name]]
    folder, tables = _folder(artifacts), paper_tables(label_runs, network_runs)
    differences = label_differences(methods, artifacts, others)
    write_text(folder / "index.html", html_page(results, tables, missing, differences))
    write_text(folder / "report.md", markdown_page(results, tables, missing, differences))
    return terminal_table(comparison(results))


def _folder(artifacts: Artifacts) -> Path:
    return artifacts.root / "report"


def _parts(artifacts: Artifacts, method: Method, left_out: Sequence[str]) -> list[Part]:
    """The parts of a method of which the page says something, its labels first."""
    there = [part for part in REPORT_PARTS if artifacts.scores(part.stage, method.name).exists()]
    return [part for part in there if part.stage not in left_out]


def _load(artifacts: Artifacts, method: Method, parts: Sequence[Part], left_out: Sequence[str]) -> MethodResult:
    metrics: dict[str, Any] = {}
    for part in parts:
        metrics |= _read_scores(artifacts.scores(part.stage, method.name))
    shown = [part for part in REPORT_PARTS if part.stage not in left_out]
    panels, val_panels = (_pictures(artifacts, part, method) if part in shown else {} for part in REPORT_PARTS)
    losses = _mean_losses(artifacts.losses(method.name), method.propagation.losses if LABELS_PART in shown else ())
    return MethodResult(method, metrics, losses, panels, val_panels, left_out)


def _read_scores(path: Path) -> dict[str, Any]:
    scores = read_json(path)
    if not isinstance(scores, dict):
        raise DataError(f"{path} does not hold scores by name: delete it and make it again (dvc repro)")
    return scores


def _mean_losses(path: Path, names: Sequence[str]) -> dict[str, float]:
    """Mean of each column; empty where the table is missing or has no row, which the report shows as unknown."""
    rows = read_table(path) if names and path.exists() else []
    if not rows:
        return {}
    try:
        means = {name: fmean(float(row[name]) for row in rows) for name in names}
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is no table of losses ({error}): make it again (dvc repro)") from error
    return {name: mean for name, mean in means.items() if math.isfinite(mean)}


def _pictures(artifacts: Artifacts, part: Part, method: Method) -> dict[str, PanelImage]:
    """The panels that were drawn of a part of a method, by photograph."""
    paths = sorted((artifacts.folder(part.stage, method.name) / "panels").glob("*.png"))
    return {path.stem: _picture(path, _folder(artifacts)) for path in paths}


def _picture(path: Path, report: Path) -> PanelImage:
    try:
        with Image.open(path) as panel:
            rgb = panel.convert("RGB")
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"{path} is no whole picture ({error}): make it again (dvc repro)") from error
    scale = min(PANEL_SCALE, PANEL_WIDTH / rgb.width)
    size = (max(1, round(rgb.width * scale)), max(1, round(rgb.height * scale)))
    file = io.BytesIO()
    rgb.resize(size, Image.Resampling.LANCZOS).save(file, format="JPEG", quality=JPEG_QUALITY, optimize=True)
    uri = "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
    return PanelImage(uri, Path(os.path.relpath(path, report)).as_posix(), rgb.width)


def terminal_table(table: Table) -> RichTable:
    """A table for the terminal."""
    shown = RichTable(title=table.title)
    for number, column in enumerate(table.columns):
        shown.add_column(Text(column), justify="right" if number else "left", no_wrap=not number)
    for row in table.rows:
        shown.add_row(*(Text(cell.text, style="bold" if cell.best else "") for cell in row))
    return shown
