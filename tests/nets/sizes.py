"""Sizes of the large backbones: as published, and small stand-ins of the same architecture for quick tests.

The numbers of the published sizes are written out here, independent of ``wsgcn.nets``: tests compare both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from wsgcn.nets.build import backbone_class
from wsgcn.nets.registry import BACKBONES


@dataclass(frozen=True)
class Sizes:
    """Blocks and channels; each of the large backbones has its part.

    Attributes:
        width: channels of the stem of a ResNet of bottlenecks.
        blocks_50, blocks_101: its blocks a stage.
        drn_stem, drn, drn_head: channels of DRN's first levels, blocks and width of its residual levels, channels of
            its last levels.
        stem_38, wide_38, deep_38: of ResNet-38: channels of the first convolution; blocks and channels of the first
            and second convolution of each stage of wide blocks; channels of the last two blocks.
    """

    width: int
    blocks_50: tuple[int, ...]
    blocks_101: tuple[int, ...]
    drn_stem: tuple[int, ...]
    drn: tuple[tuple[int, int], ...]
    drn_head: int
    stem_38: int
    wide_38: tuple[tuple[int, int, int], ...]
    deep_38: tuple[int, int]

    @property
    def channels(self) -> tuple[int, ...]:
        """Of the five maps of a ResNet of bottlenecks."""
        return self.width, *(4 * self.width * 2**stage for stage in range(4))

    @property
    def channels_38(self) -> tuple[int, ...]:
        """Of the five maps of ResNet-38."""
        return *(out for *_, out in self.wide_38), self.deep_38[1]

    def attributes(self, name: str) -> dict[str, Any]:
        """What sets the sizes of a backbone, by the name of the class's attribute; the small ones have none."""
        blocks_50, blocks_101 = ({"blocks": one, "width": self.width} for one in (self.blocks_50, self.blocks_101))
        return {
            "resnet-50": blocks_50,
            "resnet-50-irnet": blocks_50,
            "resnet-101": blocks_101,
            "resnet-101-imagenet": blocks_101,
            "resnet-101-caffe": blocks_101,
            "drn-d-105": {"stem": self.drn_stem, "residual": self.drn, "head": self.drn_head},
            "resnet-38": {"stem": self.stem_38, "wide": self.wide_38, "deep": self.deep_38},
        }.get(name, {})


FULL = Sizes(
    width=64,
    blocks_50=(3, 4, 6, 3),
    blocks_101=(3, 4, 23, 3),
    drn_stem=(16, 16, 32),
    drn=((3, 64), (4, 128), (23, 256), (3, 512)),
    drn_head=512,
    stem_38=64,
    wide_38=((3, 128, 128), (3, 256, 256), (6, 512, 512), (3, 512, 1024)),
    deep_38=(2048, 4096),
)
TINY = Sizes(
    width=8,
    blocks_50=(1, 2, 3, 2),
    blocks_101=(3, 1, 4, 2),
    drn_stem=(4, 4, 8),
    drn=((1, 8), (2, 16), (3, 32), (1, 64)),
    drn_head=32,
    stem_38=8,
    wide_38=((2, 16, 16), (1, 32, 32), (4, 64, 64), (3, 64, 128)),
    deep_38=(256, 512),
)


def use_sizes(sizes: Sizes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every backbone built with these sizes until the test ends."""
    for name in BACKBONES:
        for attribute, value in sizes.attributes(name).items():
            monkeypatch.setattr(backbone_class(name), attribute, value)


@pytest.fixture(params=[pytest.param(TINY, id="tiny"), pytest.param(FULL, id="full", marks=pytest.mark.slow)])
def sizes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Sizes:
    """Runs a test with small stand-ins of the large backbones, and under ``-m slow`` with the published sizes."""
    use_sizes(request.param, monkeypatch)
    return request.param


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Sizes:
    """Runs a test with small stand-ins of the large backbones."""
    use_sizes(TINY, monkeypatch)
    return TINY
