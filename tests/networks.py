"""Trains and scores the networks of a project's pseudo labels with other seeds and settings.

    python -m tests.networks PROJECT --method WSGCN-I --method PSA --seed 42 --seed 1 --seed 2
    python -m tests.networks PROJECT --method IRNet --seed 42 --set segtrain.deeplab.steps=1400 --set dataset.root=COPY

Labels and classifiers are PROJECT's and stay as they are: only segtrain's and evaluate's own work is done anew, in
PROJECT/networks. ``--set`` changes any parameter, such as the lists that teach and score (see ``tests.lists``).
Prints a row a network and, for more than one seed, the mean and the standard deviation of each method.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev

from tests import chain
from tests.conftest import changed
from tests.rows import borrow, row_artifacts, values
from wsgcn.params import Params, load_params
from wsgcn.store.paths import Artifacts

READ = ("cams-train", "propagate", "crf")
SCORES = ("seg_miou", "seg_miou_crf")


def network_scores(params: Params, artifacts: Artifacts, method: str) -> list[float]:
    """mIoU in % of a network before and after its CRF; it is trained unless it was before."""
    chain.run_stage("segtrain", method, params, artifacts)
    scores = chain.run_stage("evaluate", method, params, artifacts)
    return [100 * scores[name] for name in SCORES]


def write_row(*cells: object) -> None:
    """A row in Markdown, at once."""
    sys.stdout.write(f"| {' | '.join(map(str, cells))} |\n")
    sys.stdout.flush()


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation."""
    return f"{fmean(values):.1f} ± {stdev(values):.1f}"


def main() -> None:
    """Train, score, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("--method", action="append", required=True)
    parser.add_argument("--seed", action="append", type=int, required=True)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    asked = parser.parse_args()
    os.chdir(asked.project)
    params, project = load_params(Path("params.yaml")), Path.cwd()
    write_row("method", "seed", "segmentation", "+ CRF")
    write_row(*4 * ["---"])
    for method in asked.method:
        found = []
        for seed in asked.seed:
            own = changed(params, values(asked.set) | {"runtime.seed": seed})
            artifacts = row_artifacts(project, "networks", method, [str(seed), *asked.set])
            for stage in READ:
                borrow(project, artifacts, stage)
            chain.run_stage("dataset", None, own, artifacts)
            found.append(network_scores(own, artifacts, method))
            write_row(method, seed, *(f"{one:.1f}" for one in found[-1]))
        if len(found) > 1:
            write_row(method, "all", *map(spread, zip(*found)))


if __name__ == "__main__":
    main()
