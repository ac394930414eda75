"""Methods, as small as the report needs them, and what their evaluation leaves on disk."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

from PIL import Image

from wsgcn.report.results import MethodResult
from wsgcn.store.files import write_atomic, write_json

LOSSES = ("total", "fg", "bg", "ent", "lap")
EVIL = '<b>|cat & "dog" *'
CLASSES = ("background", EVIL)


@dataclass(frozen=True)
class Propagation:
    kind: str
    losses: tuple[str, ...] = ()
    baseline: bool = False
    partial_labels_used: bool = False


@dataclass(frozen=True)
class Method:
    name: str
    variant: SimpleNamespace
    propagation: Propagation
    propagation_name: str


GCN = Propagation("gcn", LOSSES, partial_labels_used=True)
WALK = Propagation("random-walk", baseline=True)
SMOOTH = Propagation("smooth")


def method(name, variant, propagation, before=()):
    entry = f"{propagation.kind}-{variant.lower()}"
    return Method(name, SimpleNamespace(name=variant, rounds=(*before, variant)), propagation, entry)


SHIPPED = (
    method("WSGCN-I", "I", GCN),
    method("WSGCN-P", "P", GCN),
    method("IRNet", "I", WALK),
    method("PSA", "P", WALK),
)
METHODS = {one.name: one for one in (*SHIPPED, method("smooth-P", "P", SMOOTH))}


def params(*methods):
    """What the report reads of ``params.yaml``."""
    return SimpleNamespace(all_methods=lambda: list(methods or SHIPPED))


def described(one):
    return {"method": one.name, "variant": one.variant.name, "propagation": one.propagation.kind, "dataset": "tiny <&>"}


def _scores(steps, base, classes):
    found = {}
    for stage in steps:
        for end in ("", "_crf"):
            found[f"{stage}_miou{end}"] = base
            found[f"{stage}_iou{end}"] = dict.fromkeys(classes, base)
            found[f"{stage}_coverage{end}"] = 1.0
    return found


def label_scores(one, base=0.5, classes=CLASSES):
    """Content of ``evaluate-labels/<method>/scores.json``."""
    found = described(one) | _scores(("cam", "pseudo"), base, classes)
    if one.propagation.partial_labels_used:
        found["partial"] = {"foreground_share": 0.125, "foreground_precision": None}
        found["partial"] |= {"share": dict.fromkeys(classes, 0.25), "precision": dict.fromkeys(classes)}
    return found | {
        "classes": list(classes),
        "images": 6,
        "seconds_per_image": {"propagate": 1.25, "crf": 0.25},
    }


def network_scores(one, base=0.5, classes=CLASSES):
    """Content of ``evaluate/<method>/scores.json``."""
    return described(one) | _scores(("seg",), base, classes) | {"classes": list(classes), "val_images": 3}


def without_masks(scores):
    """The same where no photograph has ground truth; a network labels every pixel, so its coverage is not counted."""
    lost = ("_miou", "_iou", "partial", *(["_coverage"] if "val_images" in scores else []))
    return {name: value for name, value in scores.items() if not any(one in name for one in lost)}


def result(name, base=0.5, **changes):
    one = METHODS[name]
    return MethodResult(one, label_scores(one, base) | network_scores(one, base) | changes)


def write_labels(artifacts, one, scores=None, panels=("x", "y z")):
    """What ``evaluate-labels`` leaves."""
    _write(artifacts.folder("evaluate-labels", one.name), one, scores or label_scores(one), panels)


def write_network(artifacts, one, scores=None, panels=("x", "y z")):
    """What ``evaluate`` leaves."""
    _write(artifacts.folder("evaluate", one.name), one, scores or network_scores(one), panels)


def write_both(artifacts, one, panels=("x", "y z")):
    write_labels(artifacts, one, panels=panels)
    write_network(artifacts, one, panels=panels)


def _write(folder, one, scores, panels):
    write_json(folder / "scores.json", scores)
    width = 1800 if one.propagation.partial_labels_used else 1500  # a tile more
    for image_id in panels:
        write_atomic(
            folder / "panels" / f"{image_id}.png",
            lambda file: Image.new("RGB", (width, 260), "red").save(file, format="PNG"),
        )
