"""The paper's Tables 1 to 5 with our figures beside the published ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from wsgcn.report.published import (
    ABLATED,
    COCO_RECIPE,
    DRN_RECIPES,
    ENTROPY_WEIGHT,
    IMAGENET_RECIPES,
    LAPLACIAN_WEIGHT,
    MARKS,
    PAPER,
    REFERENCES,
    SHORT_NAMES,
    TABLE_1,
    TABLE_2,
    TABLE_3,
    TABLE_4,
    TABLE_5,
    TRAIN_PHOTOGRAPHS,
    VAL_PHOTOGRAPHS,
    Network,
    Recipe,
)
from wsgcn.report.table import MISSING, Cell, Table, percent
from wsgcn.vocabulary import VOC_CLASSES

if TYPE_CHECKING:
    from wsgcn.tracking.finished import FinishedRun

LOSSES = ("propagate.{propagation}.entropy_weight", "propagate.{propagation}.laplacian_weight")
"""Names of the weights of eq. (2); a placeholder is the entry of its section that a run's method has."""

LABELS_MAY_DIFFER = (*LOSSES, "segtrain.", "method.segtrain")
NETWORKS_MAY_DIFFER = (*LOSSES, *(f"segtrain.{{segtrain}}.{name}" for name in ("backbone", "weights", *COCO_RECIPE)))
"""Parameters in which the rows of Tables 1 and 2, and of Tables 3 and 4, may differ from the project's."""

STARTS = {
    ("ResNet-101", ""): ("resnet-101-imagenet", None, IMAGENET_RECIPES),
    ("ResNet-101", "†"): ("resnet-101-caffe", "deeplab-coco", (COCO_RECIPE,)),
    ("DRN-D-105", ""): ("drn-d-105", None, DRN_RECIPES),
}
"""Backbone, the name of the file of weights where another would be another pre-training, and the recipes of which a run
has one, by a row's backbone and mark. Torchvision and fyu/drn publish weights of ImageNet, deeplab-pytorch of
MS-COCO."""

NETWORK_COLUMNS = ("Backbone", "Published val", "Here val", "Published test", "Here test")
OURS = ("Here", "Here val")
"""The columns that a run here can fill; test scores are only with VOC's server."""

NOTE = (
    f"Published figures are those of {PAPER}. The columns “here” hold the newest complete run in MLflow that has this "
    "project's parameters but for what the row changes (losses off: weight 0; backbone, weights and training of "
    f"segtrain as published), scored on all 21 classes of PASCAL VOC 2012 and the {TRAIN_PHOTOGRAPHS} photographs of "
    f"train or the {VAL_PHOTOGRAPHS} of val. A cell without such a run is empty, and so is all of test: its "
    "masks are with VOC's server, which scores the archive of wsgcn evaluate --split test --submission."
)


def paper_tables(label_runs: Sequence[FinishedRun], network_runs: Sequence[FinishedRun]) -> list[Table]:
    """Tables 1 to 5.

    Args:
        label_runs: the newest first, alike in all parameters but :data:`LABELS_MAY_DIFFER`.
        network_runs: likewise, but :data:`NETWORKS_MAY_DIFFER`.
    """
    networks = _with_all_losses(network_runs)
    return [
        _table_1(_with_all_losses(label_runs)),
        _table_2(label_runs),
        _table_3(networks),
        _table_4(networks),
        _table_5(),
    ]


def with_ours(tables: Sequence[Table]) -> list[Table]:
    """Those that hold a figure of ours: a reader has the others in the paper."""
    return [table for table in tables if any(_has_ours(table, row) for row in table.rows)]


def _has_ours(table: Table, row: Sequence[Cell]) -> bool:
    return any(cell.text != MISSING for head, cell in zip(table.columns, row) if head in OURS)


def _with_all_losses(runs: Sequence[FinishedRun]) -> list[FinishedRun]:
    """Those of the paper's setting; a run without these losses, such as a random walk's, has none that is off."""
    return [run for run in runs if _weights(run) is None or _losses_used(run) == (True, True)]


def citations() -> list[str]:
    """The publications that the tables name by number."""
    return [f"[{number}] {text}" for number, text in REFERENCES.items()]


def _table_1(runs: Sequence[FinishedRun]) -> Table:
    rows = []
    for row in TABLE_1:
        tick = {True: "✓", False: "", None: MISSING}[row.crf]
        here = MISSING if row.crf is None else _pseudo(runs, row.system, crf=row.crf)
        rows.append((Cell(_name(row.system, row.reference)), Cell(tick), _printed(row.miou), Cell(here)))
    return Table(
        f"Table 1: complete pseudo labels on VOC 2012 train, mIoU (dCRF {MISSING} where that is not known)",
        ("Method", "dCRF", "Published", "Here"),
        tuple(rows),
    )


def _table_2(runs: Sequence[FinishedRun]) -> Table:
    rows = []
    for row in TABLE_2:
        alike = [run for run in runs if _losses_used(run) == (row.entropy, row.laplacian)]
        ticks = [Cell("✓" if used else "") for used in (row.entropy, row.laplacian, row.crf)]
        here = _pseudo(alike, ABLATED, crf=row.crf)
        rows.append((Cell(ABLATED), *ticks, _printed(row.miou), Cell(here)))
    return Table(
        "Table 2: losses and complete pseudo labels on VOC 2012 train, mIoU",
        ("Method", "Entropy loss", "Laplacian loss", "dCRF", "Published", "Here"),
        tuple(rows),
    )


def _table_3(runs: Sequence[FinishedRun]) -> Table:
    marks = "; ".join(f"{mark} {text}" for mark, text in MARKS.items())
    return Table(
        f"Table 3: segmentation networks on VOC 2012, mIoU ({marks})",
        ("Method", "Publication", *NETWORK_COLUMNS),
        tuple((_named(row), Cell(row.publication or MISSING), *_network_cells(row, runs)) for row in TABLE_3),
    )


def _table_4(runs: Sequence[FinishedRun]) -> Table:
    return Table(
        "Table 4: segmentation networks with DRN-D-105 on VOC 2012, mIoU",
        ("Method", *NETWORK_COLUMNS),
        tuple((_named(row), *_network_cells(row, runs)) for row in TABLE_4),
    )


def _table_5() -> Table:
    rows, references = [], {row.system: row.reference for row in TABLE_3}
    for system, values in TABLE_5.items():
        name = _name(system, references[system])
        rows.append((Cell(f"{name}, published"), *map(_printed, values)))
        rows.append((Cell(f"{system}, here"), *[Cell(MISSING)] * len(values)))
    return Table(
        "Table 5: segmentation networks with ResNet-101 on VOC 2012 test, IoU by class",
        ("Method", *SHORT_NAMES, "mIoU"),
        tuple(rows),
    )


def _named(row: Network) -> Cell:
    return Cell(_name(row.system + row.mark, row.reference))


def _network_cells(row: Network, runs: Sequence[FinishedRun]) -> tuple[Cell, ...]:
    here = Cell(_network(runs, row))
    return Cell(row.backbone), _printed(row.val), here, _printed(row.test), Cell(MISSING)


def _name(system: str, reference: int | None) -> str:
    return f"{system} [{reference}]" if reference else system


def _printed(value: float) -> Cell:
    return Cell(f"{value:.1f}")


def _weights(run: FinishedRun) -> tuple[float, float] | None:
    """Weights of the entropy and the Laplacian loss; None where the run's propagation has no such losses."""
    names = [name.format(propagation=run.params.get("method.propagation")) for name in LOSSES]
    if not all(name in run.params for name in names):
        return None
    return float(run.params[names[0]]), float(run.params[names[1]])


def _losses_used(run: FinishedRun) -> tuple[bool, bool] | None:
    """Whether entropy and Laplacian loss are in use; None where there are none, or a weight is neither 0 nor theirs."""
    weights = _weights(run)
    if weights is None or weights[0] not in (0, ENTROPY_WEIGHT) or weights[1] not in (0, LAPLACIAN_WEIGHT):
        return None
    return weights[0] != 0, weights[1] != 0


def _pseudo(runs: Sequence[FinishedRun], method: str, *, crf: bool) -> str:
    metric = "pseudo_miou_crf" if crf else "pseudo_miou"
    return _newest([run for run in runs if run.method == method], metric, ("images", TRAIN_PHOTOGRAPHS))


def _network(runs: Sequence[FinishedRun], row: Network) -> str:
    start = STARTS.get((row.backbone, row.mark))
    alike = [run for run in runs if run.method == row.system and start and _starts(run.params, *start)]
    return _newest(alike, "seg_miou_crf", ("val_images", VAL_PHOTOGRAPHS))


def _starts(params: Mapping[str, str], backbone: str, file: str | None, recipes: Sequence[Recipe]) -> bool:
    """Trained here by one of the recipes, on this backbone, from published weights."""
    training = _training(params)
    weights, trained = training.get("weights", "null"), training.get("trained")
    known = weights not in ("null", "cams") and file in (None, PurePath(weights).stem)
    here = known and trained == "null" and training.get("backbone") == backbone
    return here and any(_follows(training, recipe) for recipe in recipes)


def _training(params: Mapping[str, str]) -> dict[str, str]:
    """The parameters of the run's segmentation network."""
    beginning = f"segtrain.{params.get('method.segtrain')}."
    return {name.removeprefix(beginning): value for name, value in params.items() if name.startswith(beginning)}


def _follows(training: Mapping[str, str], recipe: Recipe) -> bool:
    found = [(training.get(name, ""), value) for name, value in recipe.items()]
    return all(text == value if isinstance(value, str) else _number(text) == value for text, value in found)


def _number(text: str) -> float | None:
    """None for what is none, such as the passes of ``10 epochs``."""
    try:
        return float(text)
    except ValueError:
        return None


def _newest(runs: Sequence[FinishedRun], metric: str, photographs: tuple[str, int]) -> str:
    name, count = photographs
    for run in runs:
        all_classes = set(json.loads(run.params["evaluate.classes"])) == set(VOC_CLASSES)
        if all_classes and run.metrics.get(name) == count and metric in run.metrics:
            return percent(run.metrics[metric])
    return MISSING
