"""Six photographs in a first round and in a later one, chosen by a rule: what the later one mends and what it spoils.

    python -m tests.figure PROJECT FILE.png --walk IRNet --gcn WSGCN-I --later WSGCN-I3

All three methods must be scored by ``evaluate-labels``. Photographs are sorted by the mean IoU, over the classes that a
photograph shows, of the later round's labels after the CRF less that of the walk's; the two best, the two in the
middle and the two worst are drawn, with that difference in points.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
from PIL import Image

from wsgcn.evaluate.evaluation import Evaluation
from wsgcn.evaluate.labels import load_pseudo_labels
from wsgcn.ops.iou import class_ious
from wsgcn.ops.panels import draw_panel, find_legend, heat_overlay, label_overlay
from wsgcn.params import load_params
from wsgcn.store.counts import load_counts
from wsgcn.store.index import ImageRecord, load_index
from wsgcn.store.paths import Artifacts


def per_photograph(artifacts: Artifacts, method: str) -> tuple[tuple[str, ...], np.ndarray]:
    """Ids, and the mean IoU of each photograph's own classes."""
    counts = load_counts(artifacts.photographs(method))
    found = counts.steps["pseudo_crf"]
    ious = np.where(found[..., 1] > 0, class_ious(found), np.nan)
    return counts.ids, np.nanmean(ious, axis=1)


def chosen(differences: np.ndarray) -> list[int]:
    """Places of the two greatest, the two in the middle, and the two smallest differences."""
    order = np.argsort(-differences, kind="stable").tolist()
    middle = len(order) // 2 - 1
    return [*order[:2], *order[middle : middle + 2], *order[-2:]]


def row(evaluations: dict[str, Evaluation], image: ImageRecord, caption: str) -> Image.Image:
    """One photograph, from the CAM to the ground truth."""
    walk, gcn, later = (load_pseudo_labels(evaluations[name], image) for name in ("walk", "gcn", "later"))
    rgb_u8, size = evaluations["walk"].photo(image), (image.height, image.width)
    partial, later_partial = gcn.partial_at(size), later.partial_at(size)
    assert partial is not None
    assert later_partial is not None
    shown = {
        "partial labels": partial,
        "walk": walk.steps["pseudo_crf"],
        "GCN": gcn.steps["pseudo_crf"],
        "later partial labels": later_partial,
        "later round": later.steps["pseudo_crf"],
        "ground truth": walk.truth,
    }
    tiles = [
        (caption, rgb_u8),
        ("CAM", heat_overlay(rgb_u8, gcn.heat)),
        ("later CAM", heat_overlay(rgb_u8, later.heat)),
    ]
    tiles += [(name, label_overlay(rgb_u8, labels)) for name, labels in shown.items()]
    return draw_panel(tiles, find_legend(shown.values(), evaluations["walk"].index.class_names))


def main() -> None:
    """Choose, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("file", type=Path)
    for name in ("walk", "gcn", "later"):
        parser.add_argument(f"--{name}", required=True)
    asked = parser.parse_args()
    file = asked.file.absolute()
    os.chdir(asked.project)
    params, artifacts = load_params(Path("params.yaml")), Artifacts()
    index = load_index(artifacts.index)
    masks = Path(params.evaluate.masks)
    methods = {name: params.method(getattr(asked, name)) for name in ("walk", "gcn", "later")}
    evaluations = {
        name: Evaluation(params, artifacts, method, index, "evaluate-labels", masks) for name, method in methods.items()
    }
    ids, before = per_photograph(artifacts, asked.walk)
    _, after = per_photograph(artifacts, asked.later)
    images = {image.id: image for image in index.images}
    rows = [
        row(evaluations, images[ids[one]], f"{ids[one]} {100 * (after - before)[one]:+.0f}")
        for one in chosen(after - before)
    ]
    page = Image.new("RGB", (max(one.width for one in rows), sum(one.height for one in rows)), "white")
    top = 0
    for one in rows:
        page.paste(one, (0, top))
        top += one.height
    page.save(file)


if __name__ == "__main__":
    main()
