"""How far the labels of two methods of one variant, or of its rounds, lie apart, with an interval over photographs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from wsgcn.ops.iou import Interval, miou_difference
from wsgcn.report.results import LABELS_PART, MethodResult
from wsgcn.report.table import MISSING, Cell, Table
from wsgcn.store.counts import PhotographCounts, load_counts
from wsgcn.store.paths import Artifacts

if TYPE_CHECKING:
    from wsgcn.methods import Method

BEFORE, AFTER, AT_BEST = "pseudo", "pseudo_crf", "pseudo_best"
STEPS = {BEFORE: BEFORE, AFTER: AFTER, AT_BEST: BEFORE}
"""Labels of the first method by those of the second: before and after the CRF, and with the second's best threshold."""

COLUMNS = ("Methods", "Pseudo mIoU", "95 % interval", "Pseudo + CRF mIoU", "95 % interval")


class Difference(NamedTuple):
    """The mIoU of one method's labels less that of another's.

    Attributes:
        first: name of the method whose mIoU comes first.
        second: name of the method whose mIoU is taken off.
        step: labels of the second, a key of :data:`STEPS`.
        miou: the difference, a fraction, and its 95 % interval.
    """

    first: str
    second: str
    step: str
    miou: Interval


class Counted(NamedTuple):
    """A method whose labels were evaluated, with its counts of each photograph."""

    method: Method
    counts: PhotographCounts


def counted_methods(
    methods: Iterable[Method], artifacts: Artifacts, left_out: Mapping[str, Sequence[str]]
) -> list[Counted]:
    """Read the counts of all methods that have them; later rounds come first, and in one round baselines last.

    Args:
        methods: which to read.
        artifacts: where their counts are.
        left_out: by method, words of the stages whose results are not to be used.

    Raises:
        DataError: a method's counts are broken.
    """
    there = [one for one in methods if _is_evaluated(artifacts, one.name)]
    used = [one for one in there if LABELS_PART.stage not in left_out.get(one.name, ())]
    used.sort(key=lambda one: (-len(one.variant.rounds), one.propagation.baseline))
    return [Counted(one, load_counts(artifacts.photographs(one.name))) for one in used]


def method_pairs(counted: Iterable[Counted]) -> list[tuple[Counted, Counted]]:
    """Every two methods of one variant, or of rounds that follow one another, the one to be praised or blamed first."""
    pairs = combinations(counted, 2)
    return [(one, other) for one, other in pairs if other.method.variant.name in one.method.variant.rounds]


def are_close(one: Method, other: Method) -> bool:
    """Whether a comparison tells of one step: both are of one variant, or learn in rounds of which one is the next."""
    if one.variant.name == other.variant.name:
        return True
    learning = not one.propagation.baseline and not other.propagation.baseline
    return learning and other.variant.name == one.variant.rounds[-2:][0]


def label_differences(
    methods: Iterable[Method], artifacts: Artifacts, left_out: Mapping[str, Sequence[str]]
) -> list[Difference]:
    """Compare the methods of :func:`method_pairs` that were scored on the same photographs.

    Args:
        methods: which to compare.
        artifacts: where their counts are.
        left_out: by method, words of the stages whose results are not to be used.

    Raises:
        DataError: a method's counts are broken.
    """
    return differences_of(counted_methods(methods, artifacts, left_out))


def differences_of(counted: Iterable[Counted]) -> list[Difference]:
    """The differences of :func:`label_differences`, of counts that were read before."""
    return [
        Difference(one.method.name, other.method.name, step, miou)
        for one, other in method_pairs(counted)
        for step, miou in _compared(one.counts, other.counts)
    ]


def _is_evaluated(artifacts: Artifacts, name: str) -> bool:
    """To the end, for the scores come last, and by a version that keeps the counts of each photograph."""
    return artifacts.photographs(name).exists() and artifacts.scores(LABELS_PART.stage, name).exists()


def _compared(first: PhotographCounts, second: PhotographCounts) -> list[tuple[str, Interval]]:
    if not first.fits(second):
        return []
    both = [(own, other) for other, own in STEPS.items() if own in first.steps and other in second.steps]
    return [(other, miou_difference(first.steps[own], second.steps[other])) for own, other in both]


def of_pairs(differences: Iterable[Difference]) -> dict[tuple[str, str], dict[str, Interval]]:
    """The differences by names of both methods, and by step."""
    pairs: dict[tuple[str, str], dict[str, Interval]] = {}
    for one in differences:
        pairs.setdefault((one.first, one.second), {})[one.step] = one.miou
    return pairs


def difference_metrics(differences: Iterable[Difference], name: str) -> dict[str, float]:
    """The differences that a method comes first in, as MLflow is to keep them: fractions, like the mIoUs themselves."""
    metrics: dict[str, float] = {}
    for one in differences:
        if one.first == name:
            begin = {BEFORE: "pseudo_miou", AFTER: "pseudo_miou_crf", AT_BEST: "pseudo_miou"}[one.step]
            metric = f"{begin}_minus_{one.second}{'_best' if one.step == AT_BEST else ''}"
            metrics |= {metric: one.miou.value, f"{metric}_low": one.miou.low, f"{metric}_high": one.miou.high}
    return metrics


# ---------------------------------------------------------------- as text


def points(value: float) -> str:
    """A difference of fractions in points, with its sign; what rounds to 0 has none of its own."""
    return f"{round(100 * value, 1) + 0.0:+.1f}"


def span(miou: Interval) -> str:
    """Both bounds in points."""
    return f"{points(miou.low)} to {points(miou.high)}"


def difference_sentences(differences: Iterable[Difference]) -> list[str]:
    """For each two methods, their differences, and which of them are more than a matter of the photographs."""
    when = {BEFORE: "before the CRF", AFTER: "after the CRF", AT_BEST: "before the CRF, {} at its best threshold"}
    return [
        f"mIoU of {first}'s labels less {second}'s, in points with 95 % intervals over photographs: "
        + "; ".join(
            f"{when[step].format(second)} {points(miou.value)} ({span(miou)}), "
            f"which {'excludes' if miou.excludes_zero else 'includes'} 0"
            for step, miou in found.items()
        )
        + "."
        for (first, second), found in of_pairs(differences).items()
    ]


def difference_table(differences: Iterable[Difference], results: Sequence[MethodResult]) -> Table | None:
    """One row for each two methods, and one for the first beside the best of the second; bold where 0 is excluded.

    Args:
        differences: of any methods.
        results: which know the best threshold.
    """
    thresholds = {one.name: one.number("best_background") for one in results}
    rows = []
    for (first, second), found in of_pairs(differences).items():
        rows.append((Cell(f"{first} − {second}"), *_cells(found.get(BEFORE)), *_cells(found.get(AFTER))))
        if AT_BEST in found:
            threshold = thresholds.get(second)
            at = "" if threshold is None else f", {threshold:.2f}"
            title = Cell(f"{first} − {second} at its best threshold{at}")
            rows.append((title, *_cells(found[AT_BEST]), *_cells(None)))
    return Table("Differences", COLUMNS, tuple(rows)) if rows else None


def _cells(miou: Interval | None) -> tuple[Cell, Cell]:
    if miou is None:
        return Cell(MISSING), Cell(MISSING)
    return Cell(points(miou.value), miou.excludes_zero), Cell(span(miou))
