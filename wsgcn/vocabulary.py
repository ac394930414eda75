"""The vocabulary of the project: label values, losses, VOC's classes, the palette, what ships."""

from __future__ import annotations

from pathlib import Path

PRESET_FOLDER = Path(__file__).resolve().parent / "presets"
"""What ships in the package: parameters, pipelines, weights."""

IN_PACKAGE = "package:"
"""In ``params.yaml`` before the name of a file of weights that ships there."""

BACKGROUND = 0
"""Class id of the background in every label map."""

IGNORE = 255
"""Value of an unlabelled pixel in a label map, and of "do not score" in a ground-truth mask."""

CAM_NETWORK = "cams"
"""What the checkpoints of CAM sources say they hold."""

LOSS_NAMES = ("total", "fg", "bg", "ent", "lap")
"""The GCN's losses, in the order of eq. (2)."""


VOC_CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
"""PASCAL VOC 2012's classes by id. Source: the devkit's ``VOCinit.m``."""


def palette() -> list[int]:
    """The VOC colour map as 256 × (r, g, b), flat, for a palette PNG.

    Source: the VOC devkit's colour map; the bits of the class id, three at a time, fill r, g and b from the top bit.
    """
    flat = []
    for class_id in range(256):
        rgb = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                rgb[channel] |= ((class_id >> (3 * bit + channel)) & 1) << (7 - bit)
        flat += rgb
    return flat
