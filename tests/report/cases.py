"""Methods, as small as the report needs them, and what their evaluation leaves on disk."""

from __future__ import annotations

from dataclasses import dataclass
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
from PIL import Image

from wsgcn.report.results import MethodResult
from wsgcn.store.counts import PhotographCounts, save_counts
from wsgcn.store.files import write_atomic, write_json
from wsgcn.store.index import ImageRecord, Index, save_index
from wsgcn.store.label_maps import save_label_map

LOSSES = ("total", "fg", "bg", "ent", "lap")
EVIL = '<b>|cat & "dog" *'
CLASSES = ("background", EVIL)
VOID = {"meta", "img", "input"}
"""Tags that nothing closes."""


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


def write_photographs(artifacts, ids, size=(6, 8), names=CLASSES):
    """The index, and white photographs."""
    height, width = size
    root = artifacts.root / "raw"
    images = tuple(ImageRecord(one, f"{one}.png", height, width, (1,), ("train",)) for one in ids)
    save_index(artifacts.index, Index("tiny", str(root), tuple(names), images))
    root.mkdir(parents=True, exist_ok=True)
    for one in ids:
        Image.new("RGB", (width, height), "white").save(root / f"{one}.png")


def write_label_maps(artifacts, one, ids, labels):
    """Label maps of a method after the CRF: one for each photograph, ``(H, W)`` class ids."""
    for image_id, found in zip(ids, labels):
        save_label_map(artifacts.label_map("crf", one.name, image_id), np.array(found, dtype=np.uint8), "")


def write_counts(artifacts, one, ids, classes=CLASSES, **steps):
    """Counts of each photograph, by step ``(N, C, 3)``; without steps as where there is no ground truth."""
    arrays = {step: np.array(counts, dtype=np.int32) for step, counts in steps.items()}
    save_counts(artifacts.photographs(one.name), PhotographCounts(tuple(ids), tuple(classes), arrays))


def _write(folder, one, scores, panels):
    write_json(folder / "scores.json", scores)
    width = 1800 if one.propagation.partial_labels_used else 1500  # a tile more
    for image_id in panels:
        write_atomic(
            folder / "panels" / f"{image_id}.png",
            lambda file: Image.new("RGB", (width, 260), "red").save(file, format="PNG"),
        )


class Balanced(HTMLParser):
    """Fails where a tag is not closed in order; keeps what is inside and what is referred to."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.seen, self.sources, self.texts, self.ids = [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.sources += [value for key, value in attrs if key in ("src", "href")]
        self.ids += [value for key, value in attrs if key == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
