"""What the report knows of one method, and the reading of numbers that may be missing."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wsgcn.store.learned import NETWORKS

if TYPE_CHECKING:
    from wsgcn.methods import Method


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
class Picture:
    """A picture as the page shows it.

    Attributes:
        uri: data URI of the picture, scaled.
        size: width and height in pixels of what the URI holds.
        width: pixels of the picture itself; panels of one photograph keep their relation,
            so that tiles are of one size.
        link: path of the picture itself, relative to the report's folder; "" where there is no file of it.
    """

    uri: str
    size: tuple[int, int]
    width: int
    link: str = ""


Confusion = Mapping[str, Mapping[str, float]]
"""By actual class and predicted label, which share of the class's pixels got it, in [0, 1]."""

Curve = Sequence[tuple[float, float]]
"""Update and loss of a training, in order."""


@dataclass(frozen=True)
class MethodResult:
    """One method whose labels or network, or both, were evaluated.

    Attributes:
        method: the method.
        metrics: content of the ``scores.json`` of its labels and of its network together.
        losses: by name, the loss of each photograph at the end of learning; empty where there is none.
        panels: pseudo-label panels by photograph.
        val_panels: segmentation panels by photograph.
        left_out: words of the stages whose results on disk are of other parameters than today's.
        confusions: by stage of the evaluation, that of its last step; empty without ground truth.
        curves: by training stage, how its loss went; none where nothing was trained.
    """

    method: Method
    metrics: Mapping[str, Any]
    losses: Mapping[str, Sequence[float]] = field(default_factory=dict)
    panels: Mapping[str, Picture] = field(default_factory=dict)
    val_panels: Mapping[str, Picture] = field(default_factory=dict)
    left_out: Sequence[str] = ()
    confusions: Mapping[str, Confusion] = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict)

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
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
            return None
        return float(value)

    def networks(self) -> list[tuple[str, str, Mapping[str, Any]]]:
        """Training stage, variant or method, and measurement of each network that was measured."""
        known = [(stage, self.metrics.get(stage)) for stage in NETWORKS]
        return [(stage, network_owner(self.method, stage), record) for stage, record in known if record]

    def evaluated(self, part: Part) -> bool:
        """Whether the stage of this part has run; without masks it has, and there are no scores."""
        return self.number(part.count) is not None


def network_owner(method: Method, stage: str) -> str:
    """The name of what a training stage runs for: the method, or its variant, whose methods share the network."""
    return {"segtrain": method.name}.get(stage, method.variant.name)


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
