"""How a segmentation network starts as the network of a CAM source (``segtrain.weights: cams``)."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from wsgcn.nets.deeplab import DeepLabV2
from wsgcn.store.checkpoints import load_part
from wsgcn.vocabulary import CAM_NETWORK


def start_as_classifier(network: DeepLabV2, checkpoint: Path) -> None:
    """Take over a classifier's backbone, and its class activation maps as the ASPP's scores.

    Raises:
        DataError: the checkpoint is missing, broken, or another network's.
    """
    load_part(checkpoint, CAM_NETWORK, "backbone.", network.backbone)
    classifier = nn.Conv2d(network.backbone.channels[-1], network.classes - 1, 1, bias=False)
    take_classifier(classifier, checkpoint)
    network.aspp.start_as(classifier.weight)


def take_classifier(classifier: nn.Conv2d, checkpoint: Path) -> None:
    """Take over a classifier's last layer.

    Raises:
        DataError: the checkpoint is missing, broken, or another network's.
    """
    load_part(checkpoint, CAM_NETWORK, "classifier.", classifier)


def start_as_network(network: DeepLabV2, checkpoint: Path) -> None:
    """Take over a segmentation network as a whole.

    Raises:
        DataError: the checkpoint is missing, broken, or of another structure.
    """
    load_part(checkpoint, CAM_NETWORK, "", network)
