"""The report as text: one self-contained HTML page and its Markdown twin."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from urllib.parse import quote

from wsgcn.report.differences import Difference, difference_table
from wsgcn.report.findings import basis, findings
from wsgcn.report.paper import NOTE, citations
from wsgcn.report.results import MethodResult, PanelImage
from wsgcn.report.style import CSS
from wsgcn.report.table import (
    Table,
    best_thresholds,
    comparison,
    coverage,
    has_numbers,
    losses,
    networks,
    partial_label_table,
    per_class,
)

TITLE = "From image-level labels to pixel-wise labels"
READING = "mIoU in percent, the best of each column bold. Seconds an image: propagation and CRF together."
PER_CLASS_NOTE = "IoU in percent, the best of each row bold; – where a class is neither in the truth nor predicted."
PARTIAL_NOTE = (
    "The confident grid cells that the propagation learns from, in percent: their share among all scored cells, "
    "and how many of them have the right class."
)
LOSS_NOTE = "At the end of learning, mean over the photographs."
NETWORKS_NOTE = (
    "In percent: the mean share of right answers, of photographs with a class and without (classifier), of pairs of "
    "equal and of different cells (affinity network), of the pixels of each class (segmentation network, measured "
    "against pseudo labels). Chance is what a network that knows nothing has."
)
DIFFERENCES_NOTE = (
    "mIoU of the first method's pseudo labels less that of the second's, in points before rounding. 95 % of 1,000 "
    "draws of the scored photographs, the same for both methods, lie within an interval; bold where 0 does not. "
    "Intervals know nothing of what other seeds of the trainings would change."
)
THRESHOLDS_NOTE = (
    "mIoU in percent as set in params.yaml, and with the best of the backgrounds 0.05, 0.10, … 0.95, chosen on the "
    "masks that score it. A background that walks along is multiplied by t / (1 − t): 0.50 is the walk as it is."
)
COVERAGE_NOTE = "Pixels that have a label, in percent."
PAPER_TITLE = "The paper's tables"
PANELS_NOTE = "The same photograph with each method; dark is background."

Gallery = dict[str, list[tuple[str, PanelImage]]]
"""By photograph, the panel of each method that has one."""


def pseudo_gallery(results: Sequence[MethodResult]) -> Gallery:
    """Panels of the pseudo labels."""
    return _gallery([(one.name, one.panels) for one in results])


def val_gallery(results: Sequence[MethodResult]) -> Gallery:
    """Panels of the segmentation networks."""
    return _gallery([(one.name, one.val_panels) for one in results])


def _gallery(by_method: Sequence[tuple[str, Mapping[str, PanelImage]]]) -> Gallery:
    ids = sorted({image_id for _, panels in by_method for image_id in panels})
    return {one: [(name, panels[one]) for name, panels in by_method if one in panels] for one in ids}


def _known_per_class(results: Sequence[MethodResult]) -> list[Table]:
    return [table for table in per_class(results) if has_numbers(table)]


def _optional_tables(
    results: Sequence[MethodResult], differences: Sequence[Difference]
) -> list[tuple[str, Table, str]]:
    """Anchor, table and note of what only some methods have, or only some datasets."""
    tables = (
        ("differences", difference_table(differences, results), DIFFERENCES_NOTE),
        ("thresholds", best_thresholds(results), THRESHOLDS_NOTE),
        ("coverage", coverage(results), COVERAGE_NOTE),
        ("partial", partial_label_table(results), PARTIAL_NOTE),
        ("networks", networks(results), NETWORKS_NOTE),
        ("losses", losses(results), LOSS_NOTE),
    )
    return [(anchor, table, note) for anchor, table, note in tables if table and has_numbers(table)]


# ---------------------------------------------------------------- HTML


def html_page(
    results: Sequence[MethodResult],
    paper: Sequence[Table],
    missing: Sequence[str] = (),
    differences: Sequence[Difference] = (),
) -> str:
    """The whole page; pictures are inside it, nothing is loaded from elsewhere.

    Args:
        results: the methods that were evaluated.
        paper: the paper's tables.
        missing: names of the methods that were not evaluated.
        differences: between the labels of two methods.
    """
    found = _html_sections(results, paper, missing, differences)
    sections = [(anchor, title, body) for anchor, title, body in found if body]
    links = "".join(f'<a href="#{anchor}">{title}</a>' for anchor, title, _ in sections)
    bodies = "".join(f'<section id="{anchor}"><h2>{title}</h2>{body}</section>\n' for anchor, title, body in sections)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>wsgcn report</title><style>{CSS}</style></head>\n<body><main>"
        f'<h1>{TITLE}</h1><p class="soft">{escape(basis(results))}</p><nav>{links}</nav>\n'
        f"{bodies}</main></body></html>\n"
    )


def _html_sections(
    results: Sequence[MethodResult],
    paper: Sequence[Table],
    missing: Sequence[str],
    differences: Sequence[Difference],
) -> list[tuple[str, str, str]]:
    """Anchor, title and body of each section; an empty body where there is nothing to show."""
    says = "".join(f"<li>{escape(sentence)}</li>" for sentence in findings(results, missing, differences))
    tables = "".join(f"<div>{_titled(one)}</div>" for one in _known_per_class(results))
    optional = [
        (anchor, table.title, _note(note) + html_table(table))
        for anchor, table, note in _optional_tables(results, differences)
    ]
    return [
        ("comparison", "Comparison", html_table(comparison(results)) + _note(READING)),
        ("findings", "What it says", says and f'<ul class="says">{says}</ul>'),
        ("classes", "IoU by class", tables and f'{_note(PER_CLASS_NOTE)}<div class="pair">{tables}</div>'),
        *optional,
        ("panels", "Pseudo labels in pictures", _html_gallery(pseudo_gallery(results))),
        ("val", "Segmentation networks in pictures", _html_gallery(val_gallery(results))),
        ("paper", PAPER_TITLE, _note(NOTE) + "".join(map(_titled, paper)) + "".join(map(_note, citations()))),
    ]


def _titled(table: Table) -> str:
    return f"<h3>{escape(table.title)}</h3>{html_table(table)}"


def _note(text: str) -> str:
    return f'<p class="soft">{escape(text)}</p>'


def html_table(table: Table) -> str:
    """A table that scrolls sideways where it is wider than the window."""
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in table.columns)
    rows = ""
    for first, *cells in table.rows:
        values = "".join(
            f'<td class="best"><b>{escape(one.text)}</b></td>' if one.best else f"<td>{escape(one.text)}</td>"
            for one in cells
        )
        rows += f'<tr><th scope="row">{escape(first.text)}</th>{values}</tr>\n'
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody></table></div>\n'


def _html_gallery(gallery: Gallery) -> str:
    if not gallery:
        return ""
    return _note(PANELS_NOTE) + "".join(_html_photo(image_id, panels) for image_id, panels in gallery.items())


def _html_photo(image_id: str, panels: list[tuple[str, PanelImage]]) -> str:
    widest = max(picture.width for _, picture in panels)
    figures = "".join(
        f"<figure><figcaption>{escape(name)}</figcaption>"
        f'<img src="{escape(picture.uri)}" alt="{escape(f"{name}: {image_id}")}" '
        f'style="width:{100 * picture.width / widest:.1f}%"></figure>\n'
        for name, picture in panels
    )
    return f'<div class="photo"><h3>{escape(image_id)}</h3>{figures}</div>\n'


# ---------------------------------------------------------------- Markdown


def markdown_page(
    results: Sequence[MethodResult],
    paper: Sequence[Table],
    missing: Sequence[str] = (),
    differences: Sequence[Difference] = (),
) -> str:
    """The tables and sentences of :func:`html_page`, with links to the panels instead of pictures."""
    parts = [
        f"# {TITLE}",
        escape_markdown(basis(results)),
        "## Comparison",
        markdown_table(comparison(results)),
        READING,
    ]
    said = findings(results, missing, differences)
    if said:
        parts += ["## What it says", "\n".join(f"- {escape_markdown(sentence)}" for sentence in said)]
    tables = _known_per_class(results)
    if tables:
        parts += ["## IoU by class", PER_CLASS_NOTE]
    for table in tables:
        parts += [f"### {table.title}", markdown_table(table)]
    for _, table, note in _optional_tables(results, differences):
        parts += [f"## {table.title}", note, markdown_table(table)]
    parts += _markdown_gallery("Pseudo labels in pictures", pseudo_gallery(results))
    parts += _markdown_gallery("Segmentation networks in pictures", val_gallery(results))
    parts += [f"## {PAPER_TITLE}", NOTE]
    for table in paper:
        parts += [f"### {escape_markdown(table.title)}", markdown_table(table)]
    parts += map(escape_markdown, citations())
    return "\n\n".join(parts) + "\n"


def escape_markdown(text: str) -> str:
    """Text that no Markdown reader takes for markup, on one line."""
    return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", " ".join(text.split()))


def markdown_table(table: Table) -> str:
    """A pipe table, numbers to the right."""
    lines = [[escape_markdown(column) for column in table.columns], ["---", *["---:"] * (len(table.columns) - 1)]]
    for row in table.rows:
        texts = [(escape_markdown(one.text), one.best) for one in row]
        lines.append([f"**{text}**" if best else text for text, best in texts])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _markdown_gallery(title: str, gallery: Gallery) -> list[str]:
    if not gallery:
        return []
    lines = [
        f"- {escape_markdown(image_id)}: "
        + ", ".join(f"[{escape_markdown(name)}]({quote(picture.link)})" for name, picture in panels)
        for image_id, panels in gallery.items()
    ]
    return [f"## {title}", "\n".join(lines)]
