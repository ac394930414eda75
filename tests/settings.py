"""Scores a method's labels with other settings of its graph, propagation and CRF, on a list of one's own.

    python -m tests.settings PROJECT --method WSGCN-I --set dataset.root=COPY --list choose \
        --masks COPY/SegmentationClassAug --try "" --try "propagate.gcn-i.entropy_weight=0"

CAMs and affinity networks are PROJECT's and stay as they are; what is done anew lies in PROJECT/settings. ``--list``
is propagated, and scored by the masks in ``--masks`` (see ``tests.lists`` for lists that settings are chosen on).
``--set`` holds for all rows, ``--try`` for one; it may hold several values, with blanks between them. Prints labels /
after the CRF in % mIoU, and with ``--against METHOD`` how far the row is above that method's labels, with 95 %
intervals.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from tests import chain
from tests.conftest import changed
from wsgcn.ops.iou import miou_difference
from wsgcn.params import Params, load_params
from wsgcn.report.differences import points, span
from wsgcn.store.counts import load_counts
from wsgcn.store.paths import Artifacts

READ = ("cams-train", "cams", "affinity-train")
STAGES = ("propagate", "crf", "evaluate-labels")


def values(pairs: Sequence[str]) -> dict[str, Any]:
    """``a.b=1`` as YAML values by dotted key."""
    return {key: yaml.safe_load(value) for key, _, value in (one.partition("=") for one in pairs)}


def row_name(method: str, listed: str, tried: str) -> str:
    """A folder for a row, whose settings may be longer than a file's name."""
    return f"{method}-{listed}-{sha256(tried.encode()).hexdigest()[:8]}"


def scored(params: Params, project: Path, method: str, name: str) -> tuple[Artifacts, Mapping[str, Any]]:
    """The scores of one row, in a folder of its own with links to what the project made before."""
    root = project / "settings" / name
    root.mkdir(parents=True, exist_ok=True)
    for stage in READ:
        if not (root / stage).is_symlink():
            (root / stage).symlink_to((project / "artifacts" / stage).absolute())
    artifacts = Artifacts(root)
    chain.run_stage("dataset", None, params, artifacts)
    chain.run_stage("affinity", params.methods[method].variant, params, artifacts)
    results = [chain.run_stage(stage, method, params, artifacts) for stage in STAGES]
    return artifacts, results[-1]


def main() -> None:
    """Make, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("--method", action="append", required=True)
    parser.add_argument("--list", required=True)
    parser.add_argument("--masks", required=True)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--try", action="append", default=None, metavar='"KEY=VALUE KEY=VALUE"', dest="tries")
    parser.add_argument("--against", metavar="METHOD")
    asked = parser.parse_args()
    os.chdir(asked.project)
    project = Path.cwd()
    lists = {"dataset.train_split": asked.list, "dataset.score_split": asked.list, "evaluate.masks": asked.masks}
    params = changed(load_params(Path("params.yaml")), lists | {"evaluate.panels": 0} | values(asked.set))
    base = None
    if asked.against:
        base = load_counts(
            scored(params, project, asked.against, row_name(asked.against, asked.list, ""))[0].photographs(
                asked.against
            )
        )
    for method in asked.method:
        for one in asked.tries or [""]:
            name = row_name(method, asked.list, one)
            artifacts, found = scored(changed(params, values(one.split())), project, method, name)
            row = f"{method} {one or 'as set'}: {100 * found['pseudo_miou']:.1f} / {100 * found['pseudo_miou_crf']:.1f}"
            if base is not None:
                counts = load_counts(artifacts.photographs(method))
                for step in ("pseudo", "pseudo_crf"):
                    miou = miou_difference(counts.steps[step], base.steps[step])
                    row += f"; {points(miou.value)} ({span(miou)})"
            sys.stdout.write(f"{row}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
