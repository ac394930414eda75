"""The vocabulary of the project: label values, variants, methods, losses and the palette."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wsgcn.errors import UsageError

BACKGROUND = 0
"""Class id of the background in every label map."""

IGNORE = 255
"""Value of an unlabelled pixel in a label map, and of "do not score" in a ground-truth mask."""

Variant = Literal["I", "P"]
Propagation = Literal["gcn", "random-walk"]

VARIANTS: tuple[Variant, ...] = ("I", "P")

LOSS_NAMES = ("total", "fg", "bg", "ent", "lap")
"""The GCN's losses, in the order of eq. (2)."""


VOC_CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
"""PASCAL VOC 2012's classes by id. Source: the devkit's ``VOCinit.m``."""


@dataclass(frozen=True)
class Method:
    """A way to make pseudo labels: a variant (CAMs and affinity) with a propagation."""

    name: str
    variant: Variant
    propagation: Propagation


METHODS = {
    method.name: method
    for method in (
        Method("WSGCN-I", "I", "gcn"),
        Method("WSGCN-P", "P", "gcn"),
        Method("IRNet", "I", "random-walk"),
        Method("PSA", "P", "random-walk"),
    )
}
"""The four methods by name. Source: the paper's section 4.1."""


def find_method(variant: str, propagation: str) -> Method:
    """The method with this variant and propagation.

    Raises:
        UsageError: there is none; the message lists the known ones.
    """
    for method in METHODS.values():
        if (method.variant, method.propagation) == (variant, propagation):
            return method
    known = ", ".join(f"{m.variant} with {m.propagation}" for m in METHODS.values())
    raise UsageError(f"no method has variant {variant!r} with propagation {propagation!r}: known are {known}")


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
