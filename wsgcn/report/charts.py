"""Charts as plain HTML and SVG: no script, nothing from elsewhere, and the colours follow the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from statistics import fmean
from typing import NamedTuple

from wsgcn.report.results import Confusion, Curve

COLOURS = 8
"""Colours of the style sheet; the ninth method has the first one's."""
WIDTH, HEIGHT = 360, 190  # units of a chart, a pixel each on a narrow screen
LEFT, TOP, RIGHT, BOTTOM = 44, 10, 350, 164  # edges of the plot in it
POINTS = 60
"""Of a curve at most: the mean of some updates each, for the loss of a single batch is mostly noise."""
BINS = 30
SHADE = 0.6
"""Opacity of a share of 1; the figure on it stays readable."""


class Series(NamedTuple):
    """Values of one method or variant; ``colour`` is the number of its colour on the whole page."""

    name: str
    colour: int
    values: Sequence[float | None]


class Line(NamedTuple):
    """The curve of one method or variant."""

    name: str
    colour: int
    curve: Curve


def bar_chart(title: str, names: Sequence[str], series: Sequence[Series]) -> str:
    """Horizontal bars from 0 to 1, a group for each name.

    Args:
        title: above the chart.
        names: of the groups.
        series: with one value in [0, 1] for each group, None where there is none.
    """
    rows = ""
    for number, name in enumerate(names):
        bars = "".join(
            f'<i class="c{one.colour % COLOURS}" style="width:{100 * value:.1f}%" '
            f'title="{escape(f"{one.name}: {100 * value:.1f}")}"></i>'
            for one in series
            if (value := one.values[number]) is not None
        )
        rows += f'<div class="row"><span>{escape(name)}</span><div>{bars}</div></div>\n'
    axis = '<div class="row axis"><span></span><div><span>0</span><span>50</span><span>100</span></div></div>'
    return _figure(title, "bars", _legend(series) + rows + axis)


def line_chart(title: str, lines: Sequence[Line]) -> str:
    """Losses over updates, from 0 up; "" where no line has a point."""
    drawn = [Line(one.name, one.colour, curve) for one in lines if (curve := _thinned(one.curve))]
    if not drawn:
        return ""
    right = max(x for one in lines for x, _ in one.curve) or 1
    top = max(y for one in drawn for _, y in one.curve) or 1
    paths = "".join(
        f'<polyline class="l{one.colour % COLOURS}" points="'
        + " ".join(f"{_x(x / right):.1f},{_y(y / top):.1f}" for x, y in one.curve)
        + '"/>'
        for one in drawn
    )
    ticks = [(0.0, "0"), (0.5, f"{top / 2:.2g}"), (1.0, f"{top:.2g}")]
    return _figure(title, "chart", _legend(drawn) + _svg(title, paths, ticks, "0", f"update {right:g}"))


def histogram(title: str, values: Sequence[float], colour: int, end: float) -> str:
    """How many photographs have which loss, and where their mean is.

    Args:
        title: above the chart.
        values: one for each photograph, 0 or more; at least one.
        colour: number of the method's colour.
        end: right end of the axis, above 0; the last bin holds what lies beyond it too.
    """
    counts = [0] * BINS
    for value in values:
        counts[max(0, min(BINS - 1, int(BINS * value / end)))] += 1
    most, width = max(counts), (RIGHT - LEFT) / BINS
    bars = "".join(
        f'<rect class="c{colour % COLOURS}" x="{LEFT + number * width:.1f}" y="{_y(count / most):.1f}" '
        f'width="{width - 1:.1f}" height="{BOTTOM - _y(count / most):.1f}"/>'
        for number, count in enumerate(counts)
        if count
    )
    mean = fmean(values)
    at = _x(min(1.0, mean / end))
    text = f'x="{at + 4:.1f}"' if at < (LEFT + RIGHT) / 2 else f'x="{at - 4:.1f}" text-anchor="end"'
    bars += f'<line class="mean" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{BOTTOM}"/>'
    bars += f'<text {text} y="{TOP + 10}">mean {mean:.3g}</text>'
    return _figure(title, "chart", _svg(title, bars, [(0.0, "0"), (1.0, str(most))], "0", f"{end:.2g}"))


def confusion_table(confusion: Confusion, predicted: Sequence[str]) -> str:
    """Shares of each class's pixels in whole percent, darker where larger.

    Args:
        confusion: of the classes that are there.
        predicted: the columns.
    """
    head = "".join(f'<th scope="col"><span>{escape(name)}</span></th>' for name in predicted)
    rows = ""
    for actual, shares in confusion.items():
        cells = "".join(_shaded(shares.get(name, 0.0)) for name in predicted)
        rows += f'<tr><th scope="row">{escape(actual)}</th>{cells}</tr>\n'
    return (
        f'<div class="scroll confusion" style="--columns:{len(predicted)}"><table><thead>'
        '<tr><th scope="col">truth ↓ label →</th>'
        f"{head}</tr></thead>\n<tbody>{rows}</tbody></table></div>\n"
    )


def _shaded(share: float) -> str:
    return f'<td style="background:rgb(31 111 235/{SHADE * share:.2f})">{100 * share:.0f}</td>'


def _thinned(curve: Curve) -> Curve:
    """The means of equally many points in a row; one that is no number would hide all others."""
    known = [point for point in curve if math.isfinite(point[1])]
    step = math.ceil(len(known) / POINTS) or 1
    groups = [known[start : start + step] for start in range(0, len(known), step)]
    return [(fmean(x for x, _ in group), fmean(y for _, y in group)) for group in groups]


def _x(share: float) -> float:
    return LEFT + share * (RIGHT - LEFT)


def _y(share: float) -> float:
    return BOTTOM - share * (BOTTOM - TOP)


def _svg(title: str, drawn: str, ticks: Sequence[tuple[float, str]], begin: str, end: str) -> str:
    """A plot with its axes: the vertical one's ticks by their share of its height, the horizontal one's two ends."""
    axes = "".join(
        f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{_y(share):.1f}" y2="{_y(share):.1f}"/>'
        f'<text x="{LEFT - 5}" y="{_y(share) + 4:.1f}" text-anchor="end">{text}</text>'
        for share, text in ticks
    )
    axes += f'<text x="{LEFT}" y="{HEIGHT - 8}">{begin}</text>'
    axes += f'<text x="{RIGHT}" y="{HEIGHT - 8}" text-anchor="end">{end}</text>'
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{axes}{drawn}</svg>'


def _legend(series: Sequence[Series | Line]) -> str:
    entries = "".join(f'<span><i class="c{one.colour % COLOURS}"></i>{escape(one.name)}</span>' for one in series)
    return f'<div class="legend">{entries}</div>'


def _figure(title: str, kind: str, body: str) -> str:
    return f'<figure class="{kind}"><figcaption>{escape(title)}</figcaption>{body}</figure>\n'
