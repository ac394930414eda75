"""Trains other segmentation networks on a method's labels, and scores what a next round makes of each on a list.

    python -m tests.rounds PROJECT --method WSGCN-I2 --set dataset.root=COPY --list choose \
        --masks COPY/SegmentationClassAug --try "" --try "segtrain.crop=321 segtrain.scale=[0.7,1.2]"

The method's variant comes after another method, whose labels of the whole list ``dataset.train_split`` teach; they and
the affinity network are PROJECT's and stay as they are, so that rows differ in the network and in what ``--try`` names.
What is done anew lies in PROJECT/rounds. Prints the update that the network is of, the CAMs at their best threshold,
the labels, and those after the CRF, in % mIoU, and how far the labels are above those of the first row, with 95 %
intervals.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from tests import chain
from tests.conftest import changed
from tests.settings import row_name, values
from wsgcn.ops.iou import miou_difference
from wsgcn.params import Params, load_params
from wsgcn.report.differences import points, span
from wsgcn.store.counts import PhotographCounts, load_counts
from wsgcn.store.files import read_json
from wsgcn.store.paths import Artifacts

ROUND = ("cams", "affinity", "propagate", "crf", "evaluate-labels")


def borrow(project: Path, artifacts: Artifacts, stage: str, name: str, as_name: str) -> None:
    """Link a folder of the project's artifacts."""
    link = artifacts.folder(stage, as_name)
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to((Artifacts(project / "artifacts").folder(stage, name)).absolute())


def next_round(
    project: Path, params: Params, lists: dict[str, Any], method: str, affinity_of: str, name: str
) -> tuple[Artifacts, dict[str, Any]]:
    """Train, ask the network for its maps of the list's photographs, propagate, refine, score."""
    artifacts = Artifacts(project / "rounds" / name)
    variant = params.methods[method].variant
    teacher = params.variants[variant].teacher
    if teacher is None:
        sys.exit(f"{method} comes after no other method")
    for stage in ("propagate", "crf"):
        borrow(project, artifacts, stage, teacher, teacher)
    borrow(project, artifacts, "cams-train", params.methods[teacher].variant, params.methods[teacher].variant)
    borrow(project, artifacts, "affinity-train", affinity_of, variant)
    chain.run_stage("dataset", None, params, artifacts)
    chain.run_stage("segtrain", teacher, params, artifacts)
    listed = changed(params, lists)
    chain.run_stage("dataset", None, listed, artifacts)
    chain.run_stage("cams-train", variant, listed, artifacts)
    for stage in ROUND[:2]:
        chain.run_stage(stage, variant, listed, artifacts)
    results = [chain.run_stage(stage, method, listed, artifacts) for stage in ROUND[2:]]
    return artifacts, results[-1] | {"kept": read_json(artifacts.learned("segtrain", teacher)).get("kept")}


def row(found: dict[str, Any], counts: PhotographCounts, base: PhotographCounts) -> str:
    """What a network is worth."""
    names = ("cam_miou_best", "pseudo_miou", "pseudo_miou_crf")
    text = f"update {found['kept']}: " + " / ".join(f"{100 * found[one]:.1f}" for one in names)
    for step in () if base is counts else ("pseudo", "pseudo_crf"):
        miou = miou_difference(counts.steps[step], base.steps[step])
        text += f"; {points(miou.value)} ({span(miou)})"
    return text


def main() -> None:
    """Train, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("--method", required=True)
    parser.add_argument("--affinity-of", metavar="VARIANT", help="whose affinity network; the method's own variant's")
    parser.add_argument("--list", required=True)
    parser.add_argument("--masks", required=True)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--try", action="append", required=True, metavar='"KEY=VALUE KEY=VALUE"', dest="tries")
    asked = parser.parse_args()
    os.chdir(asked.project)
    project = Path.cwd()
    params = changed(load_params(Path("params.yaml")), {"evaluate.panels": 0} | values(asked.set))
    lists = {"dataset.train_split": asked.list, "dataset.score_split": asked.list, "evaluate.masks": asked.masks}
    base = None
    for one in asked.tries:
        own = changed(params, values(one.split()))
        affinity_of = asked.affinity_of or params.methods[asked.method].variant
        name = row_name(asked.method, asked.list, f"{affinity_of} {one}")
        artifacts, found = next_round(project, own, lists, asked.method, affinity_of, name)
        counts = load_counts(artifacts.photographs(asked.method))
        base = base or counts
        sys.stdout.write(f"{asked.method} {one or 'as set'}: {row(found, counts, base)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
