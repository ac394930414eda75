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
from collections.abc import Sequence
from pathlib import Path

from tests import chain
from tests.conftest import changed
from tests.rows import above, borrow, row_artifacts, values
from wsgcn.params import Params, load_params
from wsgcn.store.counts import load_counts
from wsgcn.store.files import read_json
from wsgcn.store.paths import Artifacts

READ = ("cams-train", "cams", "affinity-train")
STAGES = ("dataset", "affinity", "propagate", "crf", "evaluate-labels")


def scored(params: Params, project: Path, method: str, settings: Sequence[str]) -> Artifacts:
    """A row's artifacts, with links to what the project made before."""
    artifacts = row_artifacts(project, "settings", method, settings)
    for stage in READ:
        borrow(project, artifacts, stage)
    chain.run_stages(STAGES, params, artifacts, method)
    return artifacts


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
    alike = [asked.list, *asked.set]
    base = None
    if asked.against:
        base = load_counts(scored(params, project, asked.against, alike).photographs(asked.against))
    for method in asked.method:
        for one in asked.tries or [""]:
            artifacts = scored(changed(params, values(one.split())), project, method, [*alike, one])
            found = read_json(artifacts.scores("evaluate-labels", method))
            row = f"{method} {one or 'as set'}: {100 * found['pseudo_miou']:.1f} / {100 * found['pseudo_miou_crf']:.1f}"
            if base is not None:
                row += above(load_counts(artifacts.photographs(method)), base)
            sys.stdout.write(f"{row}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
