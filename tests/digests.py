"""Digests of what a pipeline made, fingerprints left out: ``python -m tests.digests artifacts`` prints one a folder.

Two runs made the same where the lines are the same: arrays, pixels and weights are compared, not the files that hold
them.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

STAGES = ("cams-train", "cams", "affinity-train", "affinity", "propagate", "crf", "segtrain")


def parts(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Every array of a file by name; none for a file that holds no result."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            yield from ((name, arrays[name]) for name in sorted(arrays.files) if name != "fingerprint")
    elif path.suffix == ".png":
        yield "pixels", np.array(Image.open(path))
    elif path.suffix == ".pt":
        state = torch.load(path, map_location="cpu", weights_only=True)["state"]
        yield from ((name, state[name].numpy()) for name in sorted(state))


def digest(folder: Path) -> str:
    """Digest of all arrays, pixels and weights below a folder."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        for name, array in parts(path):
            content = np.ascontiguousarray(array)
            found.update(f"{path.relative_to(folder)} {name} {content.dtype} {content.shape}".encode())
            found.update(content.tobytes())
    return found.hexdigest()[:32]


def main(artifacts: Path) -> None:
    """Write a line a folder."""
    for stage in STAGES:
        for folder in sorted(one for one in (artifacts / stage).iterdir() if one.is_dir()):
            sys.stdout.write(f"{stage}/{folder.name} {digest(folder)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
