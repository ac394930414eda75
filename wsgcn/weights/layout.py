"""One kind of published file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from wsgcn.nets.published import Converter

VOC_CLASSES = 21
"""Classes of VOC 2012 with the background, which all published networks know."""


@dataclass(frozen=True)
class Layout:
    """One kind of published file.

    Attributes:
        convert: its parameters to those of our network, by name.
        build: our network, empty.
        checkpoint: the network's name and settings in a checkpoint of it; None for a backbone, which is stored as
            parameters by name, as torchvision publishes it.
    """

    convert: Converter
    build: Callable[[], nn.Module]
    checkpoint: tuple[str, Mapping[str, Any]] | None = None
