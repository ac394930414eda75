"""Trains other segmentation networks on a method's labels, and scores what a next round makes of each on a list.

    python -m tests.rounds PROJECT --method WSGCN-I2 --set dataset.root=COPY --list choose \
        --masks COPY/SegmentationClassAug --try "" --try "segtrain.deeplab.crop=321 segtrain.deeplab.scale=[0.7,1.2]"

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
from tests.rows import above, borrow, row_artifacts, values
from wsgcn.params import Params, load_params
from wsgcn.store.counts import load_counts
from wsgcn.store.files import read_json
from wsgcn.store.paths import Artifacts

ROUND = ("dataset", "cams-train", "cams", "affinity", "propagate", "crf", "evaluate-labels")
SCORES = ("cam_miou_best", "pseudo_miou", "pseudo_miou_crf")


def next_round(project: Path, artifacts: Artifacts, params: Params, lists: dict[str, Any], method: str) -> str:
    """Train, ask the network for its maps of the list's photographs, propagate, refine, score; what is found."""
    variant = params.methods[method].variant
    teacher = params.variants[variant].teacher
    if teacher is None:
        sys.exit(f"{method} comes after no other method")
    for folder in (f"propagate/{teacher}", f"crf/{teacher}", f"cams-train/{params.methods[teacher].variant}"):
        borrow(project, artifacts, folder)
    chain.run_stages(("dataset", "segtrain"), params, artifacts, teacher)
    chain.run_stages(ROUND, changed(params, lists), artifacts, method)
    kept = read_json(artifacts.learned("segtrain", teacher)).get("kept")
    scores = read_json(artifacts.scores("evaluate-labels", method))
    return f"update {kept}: " + " / ".join(f"{100 * scores[one]:.1f}" for one in SCORES)


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
    variant = params.methods[asked.method].variant
    affinity_of = asked.affinity_of or variant
    base = None
    for one in asked.tries:
        artifacts = row_artifacts(project, "rounds", asked.method, [asked.list, affinity_of, *asked.set, one])
        borrow(project, artifacts, f"affinity-train/{variant}", f"affinity-train/{affinity_of}")
        row = next_round(project, artifacts, changed(params, values(one.split())), lists, asked.method)
        counts = load_counts(artifacts.photographs(asked.method))
        if base is None:
            base = counts
        else:
            row += above(counts, base)
        sys.stdout.write(f"{asked.method} {one or 'as set'}: {row}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
