"""The report as one HTML page: what matters is open, what is long is folded, and every picture opens large."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from urllib.parse import quote

from wsgcn.ops.panels import legend_colour
from wsgcn.report.content import (
    CONFUSION_NOTE,
    HISTOGRAM_NOTE,
    PANELS_NOTE,
    PAPER_TITLE,
    PER_CLASS_NOTE,
    READING,
    TITLE,
    Content,
    Gallery,
)
from wsgcn.report.figures import class_bars, confusions, loss_curves, loss_histograms
from wsgcn.report.findings import basis, findings
from wsgcn.report.paper import NOTE, citations
from wsgcn.report.photographs import Choice, Group, Shot
from wsgcn.report.results import Picture
from wsgcn.report.style import CSS
from wsgcn.report.table import Table, comparison

LEAST_CELL, MOST_CELL = 8, 16  # characters; tables whose cells are short have columns of one width


def html_page(content: Content) -> str:
    """The whole page; pictures are inside it, nothing is loaded from elsewhere."""
    sections = [(anchor, title, body) for anchor, title, body in _sections(content) if body]
    links = "".join(f'<a href="#{anchor}">{title}</a>' for anchor, title, _ in sections)
    bodies = "".join(f'<section id="{anchor}"><h2>{title}</h2>{body}</section>\n' for anchor, title, body in sections)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>wsgcn report</title><style>{CSS}</style></head>\n<body><main>"
        f'<h1>{TITLE}</h1><p class="soft">{escape(basis(content.results))}</p><nav>{links}</nav>\n'
        f"{bodies}</main></body></html>\n"
    )


def _sections(content: Content) -> list[tuple[str, str, str]]:
    """Anchor, title and body of each section; an empty body where there is nothing to show."""
    results, optional = content.results, content.optional
    said = findings(results, content.missing, content.differences)
    says = "".join(f"<li>{escape(sentence)}</li>" for sentence in said)
    unfolded = {word: _noted(table, note) for word, (table, note) in optional.items()}
    folded = {word: _fold(table.title, unfolded[word]) for word, (table, _) in optional.items()}
    tables = "".join(map(_titled, content.per_class))
    classes = class_bars(results) + _fold("IoU in figures", tables and _note(PER_CLASS_NOTE) + tables)
    learning = loss_curves(results) + _fold(
        "Losses of each photograph", _with_note(HISTOGRAM_NOTE, loss_histograms(results))
    )
    paper = "".join(map(_titled, content.paper))
    paper = paper and _note(NOTE) + paper + "".join(map(_note, citations()))
    return [
        (
            "comparison",
            "Comparison",
            html_table(comparison(results)) + _note(READING) + _joined(folded, "thresholds"),
        ),
        ("findings", "What it says", says and f'<ul class="says">{says}</ul>'),
        *((word, word.capitalize(), unfolded.get(word, "")) for word in ("differences", "coverage", "agreement")),
        ("classes", "IoU by class", classes + _joined(folded, "partial")),
        ("confusions", "Confusions", _with_note(CONFUSION_NOTE, _folds(confusions(results)))),
        ("photographs", "Photographs to look at", _with_note(content.photographs_note, _groups(content))),
        ("panels", "Pseudo labels in pictures", _html_gallery("panel", content.pseudo_gallery)),
        ("val", "Segmentation networks in pictures", _html_gallery("val", content.val_gallery)),
        ("learning", "Learning", _joined(folded, "networks") + learning + _joined(folded, "losses")),
        ("paper", PAPER_TITLE, _fold("Published figures, and ours beside them", paper)),
    ]


# ---------------------------------------------------------------- text and tables


def _joined(folded: dict[str, str], *words: str) -> str:
    return "".join(folded.get(word, "") for word in words)


def _folds(parts: Iterable[tuple[str, str]], kind: str = "") -> str:
    """Parts of a kind, the first one open; with the kind's word each can be linked to."""
    folded = ""
    for title, body in parts:
        anchor = f' id="{_anchor(kind, title)}"' if kind else ""
        folded += _fold(title, body, anchor if folded else f"{anchor} open")
    return folded


def _fold(title: str, body: str, attributes: str = "") -> str:
    return body and f"<details{attributes}><summary>{escape(title)}</summary>{body}</details>\n"


def _with_note(note: str, body: str) -> str:
    return body and _note(note) + body


def _noted(table: Table, note: str) -> str:
    return _note(note) + html_table(table)


def _titled(table: Table) -> str:
    return f"<h3>{escape(table.title)}</h3>{html_table(table)}"


def _note(text: str) -> str:
    return f'<p class="soft">{escape(text)}</p>'


def html_table(table: Table) -> str:
    """A table that scrolls sideways where it is wider than the window; tables of the same columns have them alike."""
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in table.columns)
    rows = ""
    for first, *cells in table.rows:
        values = "".join(
            f'<td class="best"><b>{escape(one.text)}</b></td>' if one.best else f"<td>{escape(one.text)}</td>"
            for one in cells
        )
        rows += f'<tr><th scope="row">{escape(first.text)}</th>{values}</tr>\n'
    words = [word for column in table.columns[1:] for word in column.split()]
    longest = max(map(len, [*words, *(cell.text for row in table.rows for cell in row[1:])]), default=0)
    style = f"--columns:{len(table.columns) - 1};--cell:{min(MOST_CELL, max(LEAST_CELL, longest))}ch"
    return (
        f'<div class="scroll" style="{style}"><table><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{rows}</tbody></table></div>\n"
    )


# ---------------------------------------------------------------- pictures


def _picture(picture: Picture, name: str, share: float = 1) -> str:
    """A picture that a tap opens large: a check box without a script; the label keeps its place meanwhile."""
    width, height = picture.size
    return (
        f'<label class="zoom" style="--width:{width}px;aspect-ratio:{width}/{height};max-width:{100 * share:.1f}%">'
        f'<input type="checkbox" aria-label="{escape(f"enlarge {name}")}"><span>'
        f'<img src="{escape(picture.uri)}" alt="{escape(name)}"></span></label>'
    )


def _groups(content: Content) -> str:
    drawn = content.pseudo_gallery
    return _folds((group.title, _group(group, drawn)) for group in content.photographs)


def _group(group: Group, drawn: Gallery) -> str:
    choices = "".join(_choice(one, drawn) for one in group.choices)
    return f'<div class="pair">{choices}</div>'


def _choice(choice: Choice, drawn: Gallery) -> str:
    legend = dict(entry for shot in choice.shots if shot.tiles for entry in shot.tiles.legend)
    colours = "".join(
        f'<span><i style="background:{legend_colour(class_id)}"></i>{escape(name)}</span>'
        for class_id, name in sorted(legend.items())
    )
    shots = "".join(_shot(one, drawn) for one in choice.shots)
    return f'<div><h3>{escape(choice.title)}</h3><div class="legend">{colours}</div>{shots}</div>'


def _shot(shot: Shot, drawn: Gallery) -> str:
    steps = f' <a href="#{_anchor("panel", shot.image_id)}">all steps</a>' if shot.image_id in drawn else ""
    head = f"<h4>{escape(shot.image_id)} <small>{escape(shot.said)}{steps}</small></h4>"
    if shot.tiles is None:
        return head + _note(f"{', '.join(shot.captions[1:])}: no picture, for {shot.error}")
    tiles = "".join(
        f"<figure>{_picture(picture, f'{shot.image_id}, {caption}')}<figcaption>{escape(caption)}</figcaption></figure>"
        for picture, caption in zip(shot.tiles.pictures, shot.captions)
    )
    return f'{head}<div class="tiles">{tiles}</div>\n'


def _html_gallery(kind: str, gallery: Gallery) -> str:
    photos = [(image_id, _panels(image_id, panels)) for image_id, panels in gallery.items()]
    return _with_note(PANELS_NOTE, _folds(photos, kind))


def _panels(image_id: str, panels: Sequence[tuple[str, Picture]]) -> str:
    widest = max(picture.width for _, picture in panels)
    return "".join(
        f"<figure><figcaption>{escape(name)}</figcaption>"
        f"{_picture(picture, f'{name}: {image_id}', picture.width / widest)}</figure>\n"
        for name, picture in panels
    )


def _anchor(kind: str, image_id: str) -> str:
    """An id has no blanks, which a photograph's name may have."""
    return quote(f"{kind}-{image_id}", safe="")
