"""Every kind of published file: what gives its parameters our names, and which network of ours they fill."""

from __future__ import annotations

import importlib

from torch import nn

from wsgcn.nets.build import backbone_class
from wsgcn.nets.registry import BACKBONES
from wsgcn.weights.layout import Layout
from wsgcn.weights.names import NETWORKS


def _of_backbone(backbone: str, published: str) -> Layout:
    kind = backbone_class(backbone)

    def build() -> nn.Module:
        return kind(kind.output_strides[0])  # its parameters are the same at every stride

    return Layout(kind.importers[published], build)


def _of_network(published: str) -> Layout:
    layout: Layout = importlib.import_module(NETWORKS[published]).LAYOUTS[published]
    return layout


LAYOUTS: dict[str, Layout] = {
    **{name: _of_backbone(backbone, name) for backbone, entry in BACKBONES.items() for name in entry.published},
    **{name: _of_network(name) for name in NETWORKS},
}
"""By the name that the command line knows it by; :data:`~wsgcn.weights.names.PUBLISHED_NAMES` are its keys."""
