"""Share of pixels whose label changes because the CRF of ``evaluate`` leaves out unlikely classes.

    python -m tests.likely PROJECT METHOD

Both CRFs run on every validation photograph of a project whose ``segtrain`` has run. Prints the share of pixels whose
label differs, and in how many photographs one does.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from wsgcn.nets.deeplab import load_deeplab, predict_probs
from wsgcn.nets.prediction import LIKELY, labels_of
from wsgcn.params import load_params
from wsgcn.runtime.devices import pick_device
from wsgcn.store.index import load_index
from wsgcn.store.paths import Artifacts
from wsgcn.store.photos import load_photo


def main(project: str, method: str) -> None:
    """Compare, and print a line."""
    os.chdir(project)
    params, artifacts = load_params(Path("params.yaml")), Artifacts(Path("artifacts"))
    settings, index = params.evaluate, load_index(artifacts.index)
    network = load_deeplab(artifacts.checkpoint("segtrain", method), pick_device(params.runtime.device))
    shares = []
    for image in index.split(params.dataset.val_split):
        rgb_u8 = load_photo(index.photo_path(image))
        probs = predict_probs(network, rgb_u8, settings.seg_scales, settings.seg_flip, settings.seg_merge)
        few, every = (labels_of(probs, rgb_u8, settings.seg_crf, likely) for likely in (LIKELY, 0))
        shares.append(np.mean(few != every))
    count = np.count_nonzero(shares)
    sys.stdout.write(f"{100 * np.mean(shares):.3f} % of the pixels, in {count} of {len(shares)} photographs\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
