"""Stage ``report``: one page in HTML and in Markdown that compares all methods that were evaluated."""

from __future__ import annotations

import base64
import io
import math
import os
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from PIL import Image
from rich.table import Table as RichTable
from rich.text import Text

from wsgcn.errors import DataError
from wsgcn.report.page import html_page, markdown_page
from wsgcn.report.paper import paper_tables
from wsgcn.report.results import Picture, Result
from wsgcn.report.table import Table, comparison
from wsgcn.store.files import read_json, read_table, write_text
from wsgcn.store.paths import Artifacts
from wsgcn.vocabulary import LOSS_NAMES, METHODS, Method

if TYPE_CHECKING:
    from wsgcn.params import Params
    from wsgcn.record import Recorded

PANEL_SCALE = 0.75
PANEL_WIDTH = 1500  # pixels; the page shows at most 1200, and many panels must not make it slow to open
JPEG_QUALITY = 82


def run(
    params: Params,
    artifacts: Artifacts,
    label_runs: Sequence[Recorded] = (),
    network_runs: Sequence[Recorded] = (),
) -> RichTable:
    """Write ``index.html`` and ``report.md`` into ``artifacts/report``.

    Args:
        params: not read: everything that the report says comes from what was evaluated.
        artifacts: where the methods' metrics are.
        label_runs: what MLflow has for :func:`~wsgcn.report.paper.paper_tables`.
        network_runs: likewise.

    Returns:
        The comparison, for the terminal.

    Raises:
        DataError: no method was evaluated, or a file of one is broken.
    """
    results = [_load(artifacts, method) for method in METHODS.values() if artifacts.metrics(method.name).exists()]
    if not results:
        raise DataError(f"{artifacts.root / 'evaluate'} holds no metrics.json: evaluate a method first (dvc repro)")
    folder, tables = _folder(artifacts), paper_tables(label_runs, network_runs)
    write_text(folder / "index.html", html_page(results, tables))
    write_text(folder / "report.md", markdown_page(results, tables))
    return terminal_table(comparison(results))


def _folder(artifacts: Artifacts) -> Path:
    return artifacts.root / "report"


def _load(artifacts: Artifacts, method: Method) -> Result:
    path = artifacts.metrics(method.name)
    metrics = read_json(path)
    if not isinstance(metrics, dict):
        raise DataError(f"{path} does not hold metrics by name: delete it and make it again (dvc repro)")
    panels = path.parent / "panels"
    return Result(
        method=method,
        metrics=metrics,
        losses=_mean_losses(artifacts.losses(method.name)) if method.propagation == "gcn" else {},
        panels=_pictures(panels, _folder(artifacts)),
        val_panels=_pictures(panels / "val", _folder(artifacts)),
    )


def _mean_losses(path: Path) -> dict[str, float]:
    """Mean of each column; empty where the table is missing or has no row, which the report shows as unknown."""
    rows = read_table(path) if path.exists() else []
    if not rows:
        return {}
    try:
        means = {name: fmean(float(row[name]) for row in rows) for name in LOSS_NAMES}
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is no table of losses ({error}): make it again (dvc repro)") from error
    return {name: mean for name, mean in means.items() if math.isfinite(mean)}


def _pictures(folder: Path, report: Path) -> dict[str, Picture]:
    return {path.stem: _picture(path, report) for path in sorted(folder.glob("*.png"))}


def _picture(path: Path, report: Path) -> Picture:
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
    return Picture(uri, Path(os.path.relpath(path, report)).as_posix(), rgb.width)


def terminal_table(table: Table) -> RichTable:
    """A table for the terminal."""
    shown = RichTable(title=table.title)
    for number, column in enumerate(table.columns):
        shown.add_column(Text(column), justify="right" if number else "left", no_wrap=not number)
    for row in table.rows:
        shown.add_row(*(Text(cell.text, style="bold" if cell.best else "") for cell in row))
    return shown
