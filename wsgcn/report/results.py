"""What the report knows of one method, and the reading of numbers that may be missing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wsgcn.store.learned import NETWORKS

if TYPE_CHECKING:
    from wsgcn.params import Method


@dataclass(frozen=True)
class Part:
    """One of the two things that are evaluated, each by a stage of its own.

    Attributes:
        stage: word of that stage.
        what: its name in sentences, plural.
        done: what was done with the photographs where they could not be scored.
        photographs: what they are called.
        count: the number that says how many there are; it is there as soon as the stage has run.
        scores: the metrics that need ground truth.
    """

    stage: str
    what: str
    done: str
    photographs: str
    count: str
    scores: tuple[str, ...]


LABELS_PART = Part(
    stage="evaluate-labels",
    what="pseudo labels",
    done="made for",
    photographs="photographs",
    count="images",
    scores=("cam_miou", "pseudo_miou", "pseudo_miou_crf"),
)
NETWORK_PART = Part(
    stage="evaluate",
    what="segmentation networks",
    done="run on",
    photographs="validation photographs",
    count="val_images",
    scores=("seg_miou", "seg_miou_crf"),
)
REPORT_PARTS = (LABELS_PART, NETWORK_PART)


@dataclass(frozen=True)
class PanelImage:
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
class MethodResult:
    """One method whose labels or network, or both, were evaluated.

    Attributes:
        method: the method.
        metrics: content of the ``scores.json`` of its labels and of its network together.
        losses: mean of each loss over the photographs; empty where there is none.
        panels: pseudo-label panels by photograph.
        val_panels: segmentation panels by photograph.
        left_out: words of the stages whose results on disk are of other parameters than today's.
    """

    method: Method
    metrics: Mapping[str, Any]
    losses: Mapping[str, float] = field(default_factory=dict)
    panels: Mapping[str, PanelImage] = field(default_factory=dict)
    val_panels: Mapping[str, PanelImage] = field(default_factory=dict)
    left_out: Sequence[str] = ()

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

    def networks(self) -> list[tuple[str, str, Mapping[str, Any]]]:
        """Training stage, variant or method, and measurement of each network that was measured."""
        owners = {"segtrain": self.name}
        known = [(stage, self.metrics.get(stage)) for stage in NETWORKS]
        return [(stage, owners.get(stage, self.method.variant.name), record) for stage, record in known if record]

    def evaluated(self, part: Part) -> bool:
        """Whether the stage of this part has run; without masks it has, and there are no scores."""
        return self.number(part.count) is not None


def all_classes(results: Sequence[MethodResult]) -> list[str]:
    """Every scored class of any method, in order of first mention."""
    return list(dict.fromkeys(name for result in results for name in result.classes))


def is_scored(results: Sequence[MethodResult], *parts: Part) -> bool:
    """Whether any method has a score of any of these parts."""
    return any(one.number(score) is not None for one in results for part in parts for score in part.scores)


def unscored_parts(results: Sequence[MethodResult]) -> list[Part]:
    """What was evaluated without ground truth, so that no method has a score of it."""
    evaluated = [part for part in REPORT_PARTS if any(one.evaluated(part) for one in results)]
    return [part for part in evaluated if not is_scored(results, part)]


def same_basis(results: Sequence[MethodResult]) -> bool:
    """Whether all methods were scored on one dataset, as many photographs and the same classes, as far as is known."""
    facts: tuple[set[Any], ...] = (
        {one.metrics.get("dataset") for one in results},
        *({one.number(part.count) for one in results} for part in REPORT_PARTS),
        {tuple(one.classes) or None for one in results},
    )
    return all(len(values - {None}) <= 1 for values in facts)
