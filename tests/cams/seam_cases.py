"""Parameters with a source of kind ``seam``, and photographs."""

import torch

from tests.conftest import changed

CLASSES = 4
SEAM = {"small_scale": 0.3, "hard_share": 0.2, "min_pooling": 1.0}
"""What SEAM has beside a classifier's numbers, as published."""


def seam_params(params, **train):
    """Those of a classifier, as a CAM source ``seam`` of its own, with other numbers of its training."""
    content = params.model_dump(mode="json")
    irnet = content["cams"]["irnet"]
    content["cams"]["seam"] = irnet | {"kind": "seam", "train": irnet["train"] | SEAM | train}
    content["variants"]["SEAM"] = {"cams": "seam", "affinity": "affinitynet", "after": "dataset/index.json"}
    content["methods"]["SEAM"] = content["methods"]["PSA"] | {"variant": "SEAM"}
    return changed(params, {key: content[key] for key in ("cams", "variants", "methods")})


def photos(count, height, width, seed=0):
    """Normalised noise."""
    return torch.randn((count, 3, height, width), generator=torch.Generator().manual_seed(seed))
