"""Every backbone by name. Nothing heavy is imported here: ``params`` and the command line read this list.

A new backbone is one file with a subclass of :class:`~wsgcn.nets.base.Backbone`, and one entry here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BackboneEntry:
    """Where a backbone is.

    Attributes:
        place: dotted name of its module and name of its class, as ``module:Class``.
        published: kinds of published files that its class has importers for, as ``wsgcn weights import --as`` calls
            them.
    """

    place: str
    published: tuple[str, ...] = ()


BACKBONES: dict[str, BackboneEntry] = {
    "resnet-small": BackboneEntry("wsgcn.nets.resnet_small:ResNetSmall"),
    "mobilenet-v2": BackboneEntry("wsgcn.nets.mobilenet_v2:MobileNetV2", ("mobilenet-v2",)),
    "resnet-50": BackboneEntry("wsgcn.nets.resnet_50:ResNet50", ("resnet-50",)),
    "resnet-50-irnet": BackboneEntry("wsgcn.nets.resnet_50_irnet:IrnetResNet50"),
    "resnet-101": BackboneEntry("wsgcn.nets.resnet_101:ResNet101", ("resnet-101",)),
    "resnet-101-imagenet": BackboneEntry("wsgcn.nets.resnet_101_imagenet:ImagenetResNet101"),
    "resnet-101-caffe": BackboneEntry("wsgcn.nets.resnet_101_caffe:CaffeResNet101", ("deeplab-coco",)),
    "resnet-38": BackboneEntry("wsgcn.nets.resnet_38:ResNet38", ("resnet-38",)),
    "drn-d-105": BackboneEntry("wsgcn.nets.drn_d_105:DrnD105", ("drn-d-105",)),
}


def find_backbone(name: str) -> BackboneEntry:
    """The entry of a backbone.

    Raises:
        ValueError: there is no such backbone; the message lists the known ones.
    """
    if name not in BACKBONES:
        raise ValueError(f"no backbone is called {name!r}, known are {', '.join(BACKBONES)}")
    return BACKBONES[name]


def backbone_module(name: str) -> str:
    """Dotted name of the module that a backbone is in, which is what a result made with it depends on.

    Raises:
        ValueError: there is no such backbone.
    """
    return find_backbone(name).place.partition(":")[0]
