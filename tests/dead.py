"""Photographs in which a GCN without biases is dead: nodes whose classes are all equally likely.

    python -m tests.dead PROJECT METHOD

Reads what ``propagate`` of a project saved, which may be unfinished. Prints each photograph where more than a twentieth
of the nodes are so, with their share, and how many there are.
"""

from __future__ import annotations

import sys
from pathlib import Path

from wsgcn.store.paths import Artifacts
from wsgcn.store.records import Scores, load_record

EQUAL = 0.02  # largest difference from 1 / K that counts as none
SHARE = 0.05  # of a photograph's nodes


def main(project: str, method: str) -> None:
    """Look at every photograph, and print lines."""
    files = sorted(Artifacts(Path(project) / "artifacts").folder("propagate", method).glob("*.npz"))
    dead = 0
    for file in files:
        scores = load_record(file, Scores).scores
        share = (abs(scores - 1 / len(scores)) < EQUAL).all(axis=0).mean()
        if share > SHARE:
            dead += 1
            sys.stdout.write(f"{file.stem} {share:.2f}\n")
    sys.stdout.write(f"{dead} of {len(files)} photographs\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
