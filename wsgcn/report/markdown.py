"""The report as Markdown: tables and sentences, and links in place of pictures."""

from __future__ import annotations

import re
from urllib.parse import quote

from wsgcn.report.content import (
    PAPER_TITLE,
    PER_CLASS_NOTE,
    READING,
    TITLE,
    Content,
    Gallery,
)
from wsgcn.report.findings import basis, findings
from wsgcn.report.paper import NOTE, citations
from wsgcn.report.photographs import photograph_table
from wsgcn.report.table import Table, comparison


def markdown_page(content: Content) -> str:
    """The tables and sentences of the HTML page, with links to the panels instead of pictures."""
    parts = [
        f"# {TITLE}",
        escape_markdown(basis(content.results)),
        "## Comparison",
        markdown_table(comparison(content.results)),
        READING,
    ]
    said = findings(content.results, content.missing, content.differences)
    if said:
        parts += ["## What it says", "\n".join(f"- {escape_markdown(sentence)}" for sentence in said)]
    if content.per_class:
        parts += ["## IoU by class", PER_CLASS_NOTE]
    for table in content.per_class:
        parts += [f"### {table.title}", markdown_table(table)]
    for table, note in content.optional.values():
        parts += [f"## {table.title}", note, markdown_table(table)]
    if (chosen := photograph_table(content.photographs)) is not None:
        parts += [f"## {chosen.title}", markdown_table(chosen)]
    parts += _markdown_gallery("Pseudo labels in pictures", content.pseudo_gallery)
    parts += _markdown_gallery("Segmentation networks in pictures", content.val_gallery)
    if content.paper:
        parts += [f"## {PAPER_TITLE}", NOTE]
        for table in content.paper:
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
