"""Stage ``report``: one page in HTML and in Markdown that compares all methods of which anything was evaluated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from rich.table import Table as RichTable
from rich.text import Text

from wsgcn.errors import DataError
from wsgcn.report.content import Content
from wsgcn.report.differences import AFTER, Counted, counted_methods, differences_of
from wsgcn.report.html import html_page
from wsgcn.report.load import load_result, report_folder
from wsgcn.report.markdown import markdown_page
from wsgcn.report.paper import paper_tables, with_ours
from wsgcn.report.photographs import Group, Shares, agreement_table, choose_photographs, label_disagreement
from wsgcn.report.pictures import draw_tiles
from wsgcn.report.results import REPORT_PARTS, Part
from wsgcn.report.table import Table, comparison
from wsgcn.store.files import write_text
from wsgcn.store.index import load_index
from wsgcn.store.paths import Artifacts

if TYPE_CHECKING:
    from wsgcn.methods import Method
    from wsgcn.params import Params
    from wsgcn.tracking.finished import FinishedRun


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
    results = [load_result(artifacts, one, parts[one.name], others[one.name]) for one in methods if parts[one.name]]
    if not results:
        folders = " and ".join(str(artifacts.root / part.stage) for part in REPORT_PARTS)
        raise DataError(
            f"{folders} hold no scores.json of a method "
            f"in params.yaml{' with its parameters' if left_out else ''}: evaluate one first (dvc repro)"
        )
    counted = counted_methods(methods, artifacts, others)
    scored = all(AFTER in one.counts.steps for one in counted)
    different = {} if scored else label_disagreement(counted, artifacts)
    content = Content(
        results,
        with_ours(paper_tables(label_runs, network_runs)),
        [method.name for method in methods if not parts[method.name]],
        differences_of(counted),
        _photographs(artifacts, counted, different),
        agreement_table([one.name for one in results], different),
    )
    write_text(report_folder(artifacts) / "index.html", html_page(content))
    write_text(report_folder(artifacts) / "report.md", markdown_page(content))
    return terminal_table(comparison(results))


def _photographs(artifacts: Artifacts, counted: Sequence[Counted], different: Shares) -> list[Group]:
    """None where nothing says where the photographs are."""
    if not artifacts.index.exists():
        return []
    return choose_photographs(counted, different, partial(draw_tiles, artifacts, load_index(artifacts.index)))


def _parts(artifacts: Artifacts, method: Method, left_out: Sequence[str]) -> list[Part]:
    """The parts of a method of which the page says something, its labels first."""
    there = [part for part in REPORT_PARTS if artifacts.scores(part.stage, method.name).exists()]
    return [part for part in there if part.stage not in left_out]


def terminal_table(table: Table) -> RichTable:
    """A table for the terminal."""
    shown = RichTable(title=table.title)
    for number, column in enumerate(table.columns):
        shown.add_column(Text(column), justify="right" if number else "left", no_wrap=not number)
    for row in table.rows:
        shown.add_row(*(Text(cell.text, style="bold" if cell.best else "") for cell in row))
    return shown
