"""What the report knows of one method, and the reading of numbers that may be missing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wsgcn.vocabulary import Method


@dataclass(frozen=True)
class Picture:
    """A panel as the page shows it.

    Attributes:
        uri: data URI of the picture, scaled.
        link: path of the panel itself, relative to the report's folder.
        width: pixels of the panel itself; panels of one photograph keep their relation, so that tiles are of one size.
    """

    uri: str
    link: str
    width: int


@dataclass(frozen=True)
class Result:
    """One evaluated method.

    Attributes:
        method: the method.
        metrics: content of its ``metrics.json``.
        losses: mean of each GCN loss over the photographs; empty where there is none.
        panels: pseudo-label panels by photograph.
        val_panels: segmentation panels by photograph.
    """

    method: Method
    metrics: Mapping[str, Any]
    losses: Mapping[str, float] = field(default_factory=dict)
    panels: Mapping[str, Picture] = field(default_factory=dict)
    val_panels: Mapping[str, Picture] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The method's name."""
        return self.method.name

    @property
    def classes(self) -> list[str]:
        """Names of the scored classes, in order of id."""
        return [str(name) for name in self.metrics.get("classes") or []]

    @property
    def seconds(self) -> float | None:
        """Seconds an image of propagation and CRF together; None where either is unknown."""
        parts = [self.number("seconds_per_image", stage) for stage in ("propagate", "crf")]
        known = [part for part in parts if part is not None]
        return sum(known) if len(known) == len(parts) else None

    def number(self, *keys: str) -> float | None:
        """A metric by its path of keys; None where it is absent, null or no finite number."""
        value: Any = self.metrics
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return None
        return float(value)


def all_classes(results: Sequence[Result]) -> list[str]:
    """Every scored class of any method, in order of first mention."""
    return list(dict.fromkeys(name for result in results for name in result.classes))


def same_basis(results: Sequence[Result]) -> bool:
    """Whether all methods were scored on one dataset, as many photographs and the same classes."""
    facts = {
        (str(one.metrics.get("dataset")), one.number("images"), one.number("val_images"), tuple(one.classes))
        for one in results
    }
    return len(facts) <= 1
