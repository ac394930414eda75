"""The VGG-16 of public classifiers as one of our backbones."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from wsgcn.nets.base import Backbone


class PublicBackbone(Backbone):
    """Parts of a public network, one after the other, that end in a map with a cell of 8 pixels."""

    name = "public"

    def __init__(self, *parts: nn.Module, channels: int = 512):
        super().__init__(8)
        self.channels, self.strides = [channels] * 5, [8] * 5
        self.parts = nn.Sequential(*parts)

    def maps(self, x: Tensor) -> Iterator[Tensor]:
        """Five times the last map."""
        yield from [self.parts(x)] * 5
