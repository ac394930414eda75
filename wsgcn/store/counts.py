"""Pixel counts of each photograph, from which labels of different methods and projects are compared in pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsgcn.errors import DataError
from wsgcn.store.files import MAKE_AGAIN, reading
from wsgcn.store.npz import read_npz
from wsgcn.store.seal import check_seal, write_sealed

NAMES = ("ids", "classes")
"""Arrays of names; every other array is a step."""


@dataclass(frozen=True)
class PhotographCounts:
    """Pixels of each photograph by scored class.

    Attributes:
        ids: of the N photographs.
        classes: names of the C scored classes.
        steps: by step ``(N, C, 3)`` int32, pixels of each class that were found, that are there, and that were
            predicted; none without ground truth.
    """

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    steps: Mapping[str, NDArray[np.int32]]

    def __post_init__(self) -> None:
        expected = (len(self.ids), len(self.classes), 3)
        for step, counts in self.steps.items():
            if counts.shape != expected or counts.dtype != np.int32:
                raise DataError(f"{step} of shape {counts.shape} and type {counts.dtype}, not {expected} and int32")
            if counts.min(initial=0) < 0:
                raise DataError(f"{step} counts less than no pixels")

    def fits(self, other: PhotographCounts) -> bool:
        """Whether the other's counts are of the same photographs and classes."""
        return (self.ids, self.classes) == (other.ids, other.classes)


def save_counts(path: Path, counts: PhotographCounts) -> None:
    """Write ``.npz`` of plain arrays; the same counts give the same bytes."""
    names = dict(zip(NAMES, (np.array(counts.ids, dtype=np.str_), np.array(counts.classes, dtype=np.str_))))
    write_sealed(path, lambda file: np.savez_compressed(file, **names, **counts.steps))  # type: ignore[arg-type]


def load_counts(path: Path) -> PhotographCounts:
    """Read what :func:`save_counts` wrote.

    Raises:
        DataError: the file is missing, broken, or holds something else.
    """
    with reading(path, "is broken", "delete it and run its stage again", MAKE_AGAIN):
        with path.open("rb") as file:
            check_seal(file)
            arrays: dict[str, Any] = read_npz(file)
        ids, classes = (tuple(arrays.pop(name).tolist()) for name in NAMES)
        return PhotographCounts(ids, classes, arrays)
