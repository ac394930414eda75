"""The tables of the report, free of any format: what is in which cell, and which cell is the best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from wsgcn.report.results import LABELS_PART, MethodResult, all_classes, is_scored

MISSING = "–"
PER_CLASS = (
    ("Pseudo labels before the CRF", "pseudo_iou", "pseudo_miou"),
    ("Pseudo labels after the CRF", "pseudo_iou_crf", "pseudo_miou_crf"),
    ("Segmentation network before the CRF", "seg_iou", "seg_miou"),
    ("Segmentation network after the CRF", "seg_iou_crf", "seg_miou_crf"),
)
"""Title, name of the per-class metric and name of its mean."""

COMPARED = (
    ("CAM mIoU", "cam_miou"),
    ("Pseudo mIoU", "pseudo_miou"),
    ("Pseudo + CRF mIoU", "pseudo_miou_crf"),
    ("Seg. val mIoU", "seg_miou"),
    ("Seg. + CRF val mIoU", "seg_miou_crf"),
)
"""Column and metric of the comparison."""

COVERED = (
    ("Pseudo labels", "pseudo_coverage"),
    ("Pseudo labels + CRF", "pseudo_coverage_crf"),
)
"""Column and metric of the coverage; raw CAMs and networks label every pixel."""

LOSS_TITLES = {
    "total": "Total",
    "fg": "Foreground",
    "bg": "Background",
    "ent": "Entropy",
    "lap": "Laplacian",
}
"""Column by the name of a loss; a loss that is not here stands under its own name."""


@dataclass(frozen=True)
class Cell:
    """The text of a cell; ``best`` is shown bold."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Table:
    """A table with a head of column names; the first cell of each row names the row."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def percent(value: float | None) -> str:
    """A fraction in percent with one decimal."""
    return MISSING if value is None else f"{100 * value:.1f}"


def _seconds(value: float | None) -> str:
    return MISSING if value is None else f"{value:.2f}"


def mark_best(
    values: Sequence[float | None], show: Callable[[float | None], str] = percent, lowest: bool = False
) -> list[Cell]:
    """Cells of comparable values. All that read like the best are best; where all read alike there is no best."""
    texts = [show(value) for value in values]
    known = [value for value in values if value is not None]
    if len({show(value) for value in known}) < 2:
        return [Cell(text) for text in texts]
    best = show(min(known) if lowest else max(known))
    return [Cell(text, text == best) for text in texts]


def has_numbers(table: Table) -> bool:
    """Whether any cell but the first of a row holds a value."""
    return any(cell.text != MISSING for row in table.rows for cell in row[1:])


def comparison(results: Sequence[MethodResult]) -> Table:
    """One row a method: quality of every step, and speed."""
    columns = [mark_best([one.number(metric) for one in results]) for _, metric in COMPARED]
    columns.append(mark_best([one.seconds for one in results], _seconds, lowest=True))
    rows = tuple((Cell(one.name), *(column[row] for column in columns)) for row, one in enumerate(results))
    return Table("Comparison", ("Method", *(title for title, _ in COMPARED), "Seconds an image"), rows)


def per_class(results: Sequence[MethodResult]) -> list[Table]:
    """IoU by class and method for each kind of labels, the mean last."""
    tables = []
    for title, metric, mean in PER_CLASS:
        rows = [
            (Cell(name), *mark_best([one.number(metric, name) for one in results])) for name in all_classes(results)
        ]
        rows.append((Cell("mean"), *mark_best([one.number(mean) for one in results])))
        tables.append(Table(title, ("Class", *(one.name for one in results)), tuple(rows)))
    return tables


def coverage(results: Sequence[MethodResult]) -> Table | None:
    """Share of the pixels with a label; None where it is unknown, or where scores are shown and all are complete."""
    values = [one.number(metric) for one in results for _, metric in COVERED]
    complete = {percent(value) for value in values if value is not None} <= {percent(1)}
    if not any(value is not None for value in values) or (complete and is_scored(results, LABELS_PART)):
        return None
    rows = tuple((Cell(one.name), *(Cell(percent(one.number(metric))) for _, metric in COVERED)) for one in results)
    return Table("Coverage", ("Method", *(title for title, _ in COVERED)), rows)


def best_thresholds(results: Sequence[MethodResult]) -> Table | None:
    """Raw CAMs and random walks as they are and with the best background; None where no best one is known."""
    if all(one.number("cam_miou_best") is None for one in results):
        return None
    kinds = (
        ("cam_miou", "cam_miou_best", "cam_best_background"),
        ("pseudo_miou", "pseudo_miou_best", "best_background"),
    )
    rows = tuple(
        (Cell(one.name), *(cell for names in kinds for cell in _as_is_and_best(*map(one.number, names))))
        for one in results
    )
    heads = [f"{what}{how}" for what in ("CAM", "Pseudo") for how in (" mIoU", ", best", ", threshold")]
    return Table("Best thresholds", ("Method", *heads), rows)


def _as_is_and_best(value: float | None, best: float | None, threshold: float | None) -> tuple[Cell, ...]:
    return Cell(percent(value)), Cell(percent(best)), Cell(MISSING if threshold is None else f"{threshold:.2f}")


def partial_label_table(results: Sequence[MethodResult]) -> Table | None:
    """Share and precision of the partial labels of each method that learns from them; None where none does."""
    shown = [one for one in results if one.method.propagation.partial_labels_used]
    if not shown:
        return None
    keys = [
        ("all foreground", ("foreground_share",), ("foreground_precision",)),
        *((name, ("share", name), ("precision", name)) for name in all_classes(shown)),
    ]
    rows = tuple(
        (Cell(title), *(Cell(percent(one.number("partial", *path))) for one in shown for path in (share, precision)))
        for title, share, precision in keys
    )
    heads = [f"{one.name} {what}" for one in shown for what in ("share", "precision")]
    return Table("Partial pseudo labels", ("Class", *heads), rows)


def networks(results: Sequence[MethodResult]) -> Table | None:
    """How well each network knows what it was taught; None where none was measured."""
    rows = {}
    for stage, owner, record in (network for one in results for network in one.networks()):
        texts = (
            percent(record["balanced_accuracy"]),
            percent(record["chance"]),
            f"{record['photographs']} {'held out' if record['held_out'] else 'of the training'}",
            f"{record['kept']} of {record['updates']}",
        )
        rows[stage, owner] = (Cell(f"{stage} {owner}"), *map(Cell, texts))
    heads = ("Network", "Balanced accuracy", "Chance", "Photographs", "Updates")
    return Table("What the networks learned", heads, tuple(rows.values())) if rows else None


def losses(results: Sequence[MethodResult]) -> Table | None:
    """Mean losses of each method that records any, in the columns of all of them; None where no method does."""
    shown = [one for one in results if one.method.propagation.losses]
    if not shown:
        return None
    names = list(dict.fromkeys(name for one in shown for name in one.method.propagation.losses))
    rows = tuple(
        (Cell(one.name), *(Cell(f"{fmean(one.losses[name]):.4g}" if name in one.losses else MISSING) for name in names))
        for one in shown
    )
    return Table("Mean losses of the propagation", ("Method", *(LOSS_TITLES.get(name, name) for name in names)), rows)
