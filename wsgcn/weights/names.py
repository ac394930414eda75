"""Every kind of published file by name. Nothing heavy is imported here: the command line offers this list."""

from __future__ import annotations

from wsgcn.nets.registry import BACKBONES

NETWORKS = {
    "irnet-cam": "wsgcn.weights.irnet",
    "irnet-boundary": "wsgcn.weights.irnet",
    "psa-classifier": "wsgcn.weights.psa",
    "psa-affinitynet": "wsgcn.weights.psa",
    "seam": "wsgcn.weights.seam",
    "sc-cam": "wsgcn.weights.psa",
    "deeplab-voc": "wsgcn.weights.deeplab",
}
"""Files of whole networks: the module whose ``LAYOUTS`` says how each is read."""

PUBLISHED_NAMES = (*(name for entry in BACKBONES.values() for name in entry.published), *NETWORKS)
"""What ``wsgcn weights import --as`` takes: files of backbones, then of whole networks."""
