"""How much higher the mIoU of one method's labels is than that of another's, of the same project or of two.

    python -m tests.difference PROJECT_A METHOD_A PROJECT_B METHOD_B --step pseudo_crf

Both must be scored by ``evaluate-labels`` on the same photographs and classes. The step is ``pseudo_crf`` unless it is
given, ``pseudo`` for the labels before the CRF, ``pseudo_best`` for those beside METHOD_B at its best threshold, or
``cam``. Prints the difference in points with its 95 % interval by paired bootstrap over photographs, both mIoUs, and
the number of photographs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from wsgcn.ops.iou import mean_iou, miou_difference
from wsgcn.report.differences import AFTER, STEPS, points, span
from wsgcn.store.counts import PhotographCounts, load_counts
from wsgcn.store.paths import Artifacts


def described(first: PhotographCounts, second: PhotographCounts, step: str) -> str:
    """The difference as a line of text."""
    if not first.fits(second):
        sys.exit("the two were not scored on the same photographs and classes")
    own, other = first.steps[STEPS.get(step, step)], second.steps[step]
    found = miou_difference(own, other)
    before, after = (100 * mean_iou(one.sum(axis=0)) for one in (own, other))
    return f"{points(found.value)} ({span(found)}): {before:.1f} against {after:.1f}, {len(own)} photographs"


def main(words: list[str]) -> None:
    """Read both, and print a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for letter in "ab":
        parser.add_argument(f"project_{letter}", type=Path)
        parser.add_argument(f"method_{letter}")
    parser.add_argument("--step", choices=(*STEPS, "cam"), default=AFTER)
    asked = parser.parse_args(words)
    places = (asked.project_a, asked.method_a), (asked.project_b, asked.method_b)
    first, second = (load_counts(Artifacts(project / "artifacts").photographs(method)) for project, method in places)
    sys.stdout.write(f"{described(first, second, asked.step)}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
