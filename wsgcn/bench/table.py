"""The table that ``wsgcn bench`` prints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from rich.table import Table

from wsgcn.bench.plan import Planned, totals
from wsgcn.bench.run import Row
from wsgcn.runtime.progress import duration


def bench_table(rows: Sequence[Row]) -> Table:
    """One line a row; columns that no row fills are left out."""
    columns: list[tuple[str, Literal["left", "right"], Callable[[Row], str]]] = [
        ("what", "left", lambda row: row.what),
        ("size", "left", lambda row: row.size),
        ("s / image", "right", lambda row: _seconds(row.seconds)),
        ("images / s", "right", lambda row: f"{row.images_per_second:.3g}"),
        ("s / update", "right", lambda row: _optional(row.update_seconds, _seconds)),
        ("forward s", "right", lambda row: _optional(row.forward_seconds, _seconds)),
        ("backward s", "right", lambda row: _optional(row.backward_seconds, _seconds)),
        ("loading s", "right", lambda row: _optional(row.loading_seconds, _seconds)),
        ("peak MB", "right", lambda row: f"{row.peak_mb:.0f}"),
        ("own MB", "right", lambda row: f"{row.own_mb:.0f}"),
        ("bandwidth", "right", lambda row: _optional(row.bandwidth_share, lambda share: f"{100 * share:.0f} %")),
        ("dense s", "right", lambda row: _optional(row.against_seconds, _seconds)),
        ("times faster", "right", lambda row: _optional(row.ratio, lambda ratio: f"{ratio:.0f}")),
    ]
    table = Table(box=None, pad_edge=False)
    shown = [(title, side, [text(row) for row in rows]) for title, side, text in columns]
    shown = [(title, side, texts) for title, side, texts in shown if any(texts)]
    for title, side, texts in shown:
        # Where the window is narrow, names go on in a second line; a number that is cut short would be another number.
        whole = max(map(len, (*texts, *title.split()))) if side == "right" else None
        table.add_column(title, justify=side, min_width=whole, overflow="fold")
    for cells in zip(*(texts for _, _, texts in shown)):
        table.add_row(*cells)
    return table


def plan_table(planned: Sequence[Planned]) -> Table:
    """One line a stage, and one for all of them."""
    table = Table(box=None, pad_edge=False)
    table.add_column("stage")
    for title in ("s each", "pieces", "time", "disk GB", "GB a machine", "folder MB/s"):
        table.add_column(title, justify="right")
    table.add_column("bound by", overflow="fold")
    for one in planned:
        folder = _optional(one.folder_mb_s, lambda rate: f"{rate:.3g}")
        numbers = (f"{one.pieces:,}", duration(one.seconds), _gigabytes(one.disk_mb), _gigabytes(one.memory_mb), folder)
        table.add_row(one.stage, _seconds(one.each), *numbers, one.bound)
    whole = totals(planned)
    table.add_row("all", "", "", duration(whole["seconds"]), _gigabytes(whole["disk_mb"]))
    return table


def _gigabytes(megabytes: float) -> str:
    return f"{megabytes / 1000:.3g}" if megabytes else ""


def _optional(value: float | None, text: Callable[[float], str]) -> str:
    return "" if value is None else text(value)


def _seconds(value: float) -> str:
    return f"{value:.3g}"
