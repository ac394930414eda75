"""A part of a per-image stage, for machines that share its photographs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from wsgcn.errors import UsageError

Image = TypeVar("Image")


@dataclass(frozen=True)
class Shard:
    """One of ``count`` parts of the images, ``number`` from 1."""

    number: int
    count: int

    def __str__(self) -> str:
        """As it is written on the command line."""
        return f"{self.number}/{self.count}"

    def part(self, images: Sequence[Image]) -> list[Image]:
        """Every ``count``-th image, so that parts are alike where neighbours are; all parts together are all images."""
        return list(images[self.number - 1 :: self.count])


def parse_shard(text: str) -> Shard:
    """Read ``3/16``: the third of sixteen.

    Raises:
        UsageError: it is something else, or there is no such part.
    """
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text, re.ASCII)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UsageError(f"--shard {text}: give a part and the number of parts, such as 3/16, from 1/16 to 16/16")
    return Shard(int(found[1]), int(found[2]))
