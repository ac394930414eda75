"""Photographs by the classes that they show, for what sees several at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

Choice = TypeVar("Choice")


@dataclass(frozen=True)
class Album:
    """Ids of photographs.

    Attributes:
        showing: those that show a class, perhaps among others, by its id.
        alike: those that show exactly some classes, by these classes' ids, ascending.
    """

    showing: Mapping[int, Sequence[str]]
    alike: Mapping[tuple[int, ...], Sequence[str]]

    @classmethod
    def of(cls, class_ids: Mapping[str, Sequence[int]]) -> Album:
        """The album of photographs whose classes are given by their ids; its order depends on nothing else."""
        showing, alike = defaultdict(list), defaultdict(list)
        for image_id in sorted(class_ids):
            alike[tuple(sorted(class_ids[image_id]))].append(image_id)
            for one in class_ids[image_id]:
                showing[one].append(image_id)
        return cls(dict(showing), dict(alike))

    def drawn(self, image_id: str, class_id: int, generator: torch.Generator) -> str:
        """A photograph that shows a class, which may be ``image_id`` itself, and is if the album has no other."""
        return drawn(self.showing.get(class_id, [image_id]), generator)

    def group(self, image_id: str, class_ids: Sequence[int], count: int, generator: torch.Generator) -> list[str]:
        """Others for a photograph: with exactly its classes, or where there are too few, with one drawn class.

        Args:
            image_id: the photograph, which only is among them if there are too few others.
            class_ids: what it shows.
            count: how many are wanted, all different if there are enough.
            generator: the only source of randomness.
        """
        shared = drawn(class_ids, generator)
        pools = (self.alike.get(tuple(sorted(class_ids)), ()), self.showing.get(shared, ()))
        for pool in pools:
            others = [one for one in pool if one != image_id]
            if len(others) >= count:
                return [others[place] for place in torch.randperm(len(others), generator=generator)[:count].tolist()]
        return [drawn(others or [image_id], generator) for _ in range(count)]


def drawn(choices: Sequence[Choice], generator: torch.Generator) -> Choice:
    """One of some, each as likely as the others."""
    return choices[int(torch.randint(len(choices), (), generator=generator))]


@dataclass(frozen=True)
class CompanySample:
    """Makes the crop and the classes of a photograph, then those of each that a kind chose to go with it.

    Attributes:
        single: makes those of one.
        class_ids: of each photograph, by its id.
        album: the photographs that may go with one.
        choose: gives ids of the album for a photograph, by its id and classes.
    """

    single: Callable[[str, torch.Generator], tuple[Tensor, ...]]
    class_ids: Mapping[str, Sequence[int]]
    album: Album
    choose: Callable[[Album, str, Sequence[int], torch.Generator], Sequence[str]]

    def __call__(self, image_id: str, generator: torch.Generator) -> tuple[Tensor, ...]:
        """``(3, crop, crop)`` and ``(C-1,)``, for each photograph one after the other."""
        everyone = [image_id, *self.choose(self.album, image_id, self.class_ids[image_id], generator)]
        return tuple(part for one in everyone for part in self.single(one, generator))
