"""The paper's Tables 1 to 5 with our figures beside the published ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from wsgcn.labels import METHODS, VOC_CLASSES
from wsgcn.report.published import (
    ENTROPY_WEIGHT,
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
)
from wsgcn.report.table import MISSING, Cell, Table, percent

if TYPE_CHECKING:
    from wsgcn.record import Recorded

ROWS_CHANGE = ("propagate.entropy_weight", "propagate.laplacian_weight", "segtrain.")
"""Parameters in which rows of one table may differ; a run that differs in another stands in none of them."""

BACKBONES = {("ResNet-101", ""): "resnet-101", ("ResNet-101", "†"): "resnet-101-caffe", ("DRN-D-105", ""): "drn-d-105"}
"""By a row's backbone and mark. Caffe's ResNet-101 is published with weights of MS-COCO, torchvision's of ImageNet."""

NOTE = (
    f"Published figures are those of {PAPER}. The columns “here” hold the newest complete run in MLflow that has this "
    "project's parameters but for what the row changes (losses off: weight 0; segtrain), scored on all 21 classes of "
    f"PASCAL VOC 2012 and the {TRAIN_PHOTOGRAPHS} photographs of train or the {VAL_PHOTOGRAPHS} of val. A cell without "
    "such a run is empty, and so is all of test: its masks are with VOC's server, which scores the archive of "
    "wsgcn evaluate --split test --submission."
)


def paper_tables(runs: Sequence[Recorded]) -> list[Table]:
    """Tables 1 to 5.

    Args:
        runs: the newest first, alike in all parameters but :data:`ROWS_CHANGE`.
    """
    full = [run for run in runs if _losses(run) == (True, True) or METHODS[run.method].propagation != "gcn"]
    return [_table_1(full), _table_2(runs), _table_3(full), _table_4(full), _table_5()]


def citations() -> list[str]:
    """The publications that the tables name by number."""
    return [f"[{number}] {text}" for number, text in REFERENCES.items()]


def _table_1(runs: Sequence[Recorded]) -> Table:
    rows = [(_name(row.system, row.reference), row.miou, _pseudo(runs, row.system, crf=True)) for row in TABLE_1]
    return Table(
        "Table 1: complete pseudo labels on VOC 2012 train, mIoU",
        ("Method", "Published", "Here"),
        tuple((Cell(name), _printed(miou), Cell(here)) for name, miou, here in rows),
    )


def _table_2(runs: Sequence[Recorded]) -> Table:
    rows = []
    for row in TABLE_2:
        alike = [run for run in runs if _losses(run) == (row.entropy, row.laplacian)]
        ticks = [Cell("✓" if used else "") for used in (row.entropy, row.laplacian, row.crf)]
        here = _pseudo(alike, "WSGCN-I", crf=row.crf)
        rows.append((Cell("WSGCN-I"), *ticks, _printed(row.miou), Cell(here)))
    return Table(
        "Table 2: losses and complete pseudo labels on VOC 2012 train, mIoU",
        ("Method", "Entropy loss", "Laplacian loss", "dCRF", "Published", "Here"),
        tuple(rows),
    )


def _table_3(runs: Sequence[Recorded]) -> Table:
    marks = "; ".join(f"{mark} {text}" for mark, text in MARKS.items())
    return _networks(f"Table 3: segmentation networks on VOC 2012, mIoU ({marks})", TABLE_3, runs)


def _table_4(runs: Sequence[Recorded]) -> Table:
    return _networks("Table 4: segmentation networks with DRN-D-105 on VOC 2012, mIoU", TABLE_4, runs)


def _table_5() -> Table:
    rows = []
    for system, values in TABLE_5.items():
        name = _name(system, 4 if system == "IRNet" else None)
        rows.append((Cell(f"{name}, published"), *map(_printed, values)))
        rows.append((Cell(f"{system}, here"), *[Cell(MISSING)] * len(values)))
    return Table(
        "Table 5: segmentation networks with ResNet-101 on VOC 2012 test, IoU by class",
        ("Method", *SHORT_NAMES, "mIoU"),
        tuple(rows),
    )


def _networks(title: str, rows: Sequence[Network], runs: Sequence[Recorded]) -> Table:
    return Table(
        title,
        ("Method", "Publication", "Backbone", "Published val", "Here val", "Published test", "Here test"),
        tuple(
            (
                Cell(_name(row.system + row.mark, row.reference)),
                Cell(row.publication),
                Cell(row.backbone),
                _printed(row.val),
                Cell(_network(runs, row)),
                _printed(row.test),
                Cell(MISSING),
            )
            for row in rows
        ),
    )


def _name(system: str, reference: int | None) -> str:
    return f"{system} [{reference}]" if reference else system


def _printed(value: float) -> Cell:
    return Cell(f"{value:.1f}")


def _losses(run: Recorded) -> tuple[bool, bool] | None:
    """Whether entropy and Laplacian loss are in use; None where a weight is neither 0 nor the paper's."""
    used = []
    for name, published in (("entropy_weight", ENTROPY_WEIGHT), ("laplacian_weight", LAPLACIAN_WEIGHT)):
        weight = float(run.params[f"propagate.{name}"])
        if weight not in (0, published):
            return None
        used.append(weight != 0)
    return used[0], used[1]


def _pseudo(runs: Sequence[Recorded], method: str, *, crf: bool) -> str:
    metric = "pseudo_miou_crf" if crf else "pseudo_miou"
    return _newest([run for run in runs if run.method == method], metric, ("images", TRAIN_PHOTOGRAPHS))


def _network(runs: Sequence[Recorded], row: Network) -> str:
    backbone = BACKBONES.get((row.backbone, row.mark))
    alike = [run for run in runs if run.method == row.system and _pretrained(run.params, backbone)]
    return _newest(alike, "seg_miou_crf", ("val_images", VAL_PHOTOGRAPHS))


def _pretrained(params: Mapping[str, str], backbone: str | None) -> bool:
    """Trained here, on this backbone, from published weights."""
    start, trained = params["segtrain.weights"], params["segtrain.trained"]
    return params["segtrain.backbone"] == backbone and start not in ("null", "cams") and trained == "null"


def _newest(runs: Sequence[Recorded], metric: str, photographs: tuple[str, int]) -> str:
    name, count = photographs
    for run in runs:
        all_classes = set(json.loads(run.params["evaluate.classes"])) == set(VOC_CLASSES)
        if all_classes and run.metrics.get(name) == count and metric in run.metrics:
            return percent(run.metrics[metric])
    return MISSING
