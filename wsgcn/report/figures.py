"""Which charts the page has of its methods."""

from __future__ import annotations

import math
from collections.abc import Sequence

from wsgcn.report.charts import Line, Series, bar_chart, confusion_table, histogram, line_chart
from wsgcn.report.results import NETWORK_PART, REPORT_PARTS, MethodResult, all_classes, network_owner
from wsgcn.report.table import LOSS_TITLES
from wsgcn.store.learned import NETWORKS

BARS = (
    ("Pseudo labels after the CRF", "pseudo_iou_crf", "pseudo_miou_crf"),
    ("Segmentation networks after the CRF", "seg_iou_crf", "seg_miou_crf"),
)
"""Title, name of the per-class metric and name of its mean."""
LEAST_SHARE = 0.005
"""Of the pixels of any class that a label needs for a column of its own."""
MOST = 0.99
"""Share of the photographs whose losses lie within a histogram's axis: a few large ones would squeeze the others."""


def class_bars(results: Sequence[MethodResult]) -> str:
    """IoU by class and method, the mean last, of labels and of networks."""
    names, charts = all_classes(results), ""
    for title, metric, mean in BARS:
        series = [
            Series(one.name, number, [*(one.number(metric, name) for name in names), one.number(mean)])
            for number, one in enumerate(results)
        ]
        known = [one for one in series if any(value is not None for value in one.values)]
        charts += bar_chart(title, [*names, "mean"], known) if known else ""
    return f'<div class="pair">{charts}</div>' if charts else ""


def confusions(results: Sequence[MethodResult]) -> list[tuple[str, str]]:
    """Title and table of each confusion matrix, those of labels first; all of a kind have the same columns."""
    tables = []
    for part in REPORT_PARTS:
        matrices = {one.name: found for one in results if (found := one.confusions.get(part.stage))}
        shares = [shares for matrix in matrices.values() for shares in matrix.values()]
        scored = {name for matrix in matrices.values() for name in matrix}
        labels = dict.fromkeys(label for row in shares for label in row)
        shown = [one for one in labels if one in scored or any(row.get(one, 0) >= LEAST_SHARE for row in shares)]
        what = "segmentation network" if part is NETWORK_PART else "pseudo labels"
        tables += [(f"{name}, {what}", confusion_table(matrix, shown)) for name, matrix in matrices.items()]
    return tables


def loss_curves(results: Sequence[MethodResult]) -> str:
    """One chart for each training stage, with a line for each network."""
    charts = ""
    for stage, taught in NETWORKS.items():
        lines: dict[str, Line] = {}
        for number, one in enumerate(results):
            owner = network_owner(one.method, stage)
            if stage in one.curves:
                lines.setdefault(owner, Line(owner, number, one.curves[stage]))
        charts += line_chart(f"{stage}: loss of the {taught.network}", list(lines.values()))
    return f'<div class="charts">{charts}</div>' if charts else ""


def loss_histograms(results: Sequence[MethodResult]) -> str:
    """The first loss of each method, which is the one that it minimises, over the photographs."""
    charts = ""
    for number, one in enumerate(results):
        for name, values in list(one.losses.items())[:1]:
            title = f"{one.name}: {LOSS_TITLES.get(name, name).lower()} loss of {len(values)} photographs"
            charts += histogram(title, values, number, _quantile(values) or 1.0)
    return f'<div class="charts">{charts}</div>' if charts else ""


def _quantile(values: Sequence[float]) -> float:
    return sorted(values)[math.ceil(MOST * len(values)) - 1]
