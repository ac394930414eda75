"""What the numbers say, in sentences that are as honest about a loss as about a gain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wsgcn.ops.iou import Interval
from wsgcn.report.differences import AFTER, BEFORE, Difference, are_close, of_pairs
from wsgcn.report.results import (
    LABELS_PART,
    NETWORK_PART,
    REPORT_PARTS,
    MethodResult,
    Part,
    all_classes,
    is_scored,
    same_basis,
    unscored_parts,
)
from wsgcn.report.table import percent
from wsgcn.store.learned import untaught


def findings(
    results: Sequence[MethodResult], missing: Sequence[str] = (), differences: Sequence[Difference] = ()
) -> list[str]:
    """The best labels and network, each method against what it is to improve on, and what is missing or went wrong.

    Args:
        results: the methods that were evaluated.
        missing: names of those that were not.
        differences: between the labels of two methods.
    """
    sentences = [
        *_best(results),
        *_against_others(results, of_pairs(differences)),
        *_below_cams(results),
        *_untaught(results),
        *_unscored(results),
        *_not_evaluated(results, missing),
        *_left_out(results),
    ]
    if not same_basis(results):
        sentences.append(
            "Take care: the methods were not scored on the same photographs and classes; run dvc repro to compare them."
        )
    return sentences


def _best(results: Sequence[MethodResult]) -> list[str]:
    """Of two methods at least."""
    sentences = []
    for what, metric in (("pseudo labels", "pseudo_miou_crf"), ("segmentation network", "seg_miou_crf")):
        known = [(value, one.name) for one in results if (value := one.number(metric)) is not None]
        if len(known) > 1:
            best = percent(max(known)[0])
            *others, last = [name for value, name in known if percent(value) == best]
            names = f"{', '.join(others)} and {last}" if others else last
            sentences.append(f"The best {what} after the CRF: {names}, {best} % mIoU.")
    return sentences


def _against_others(
    results: Sequence[MethodResult], differences: Mapping[tuple[str, str], Mapping[str, Interval]]
) -> list[str]:
    """Methods that learn, against the baselines of their variant, and against those of the round right before."""
    return [
        sentence
        for one in results
        for other in results
        if not one.method.propagation.baseline and are_close(one.method, other.method)
        if other.method.propagation.baseline or other.method.variant.name != one.method.variant.name
        for sentence in _compare(one, other, differences.get((one.name, other.name), {}))
    ]


def _untaught(results: Sequence[MethodResult]) -> list[str]:
    """Networks that are hardly better than chance, each once."""
    warnings = [untaught(*network) for one in results for network in one.networks()]
    return [text[0].upper() + text[1:] for text in dict.fromkeys(warnings) if text is not None]


def _compare(one: MethodResult, other: MethodResult, intervals: Mapping[str, Interval]) -> list[str]:
    before, after, network = (
        _difference(one.number(metric), other.number(metric))
        for metric in ("pseudo_miou", "pseudo_miou_crf", "seg_miou_crf")
    )
    parts = [
        f"pseudo labels {before} before the CRF{_doubt(intervals, BEFORE)}" if before else "",
        f"{'' if before else 'pseudo labels '}{after} after the CRF{_doubt(intervals, AFTER)}" if after else "",
        f"segmentation network {network} after its own CRF" if network else "",
    ]
    said = ", ".join(part for part in parts if part)
    return [f"{one.name} against {other.name}, by mIoU: {said}."] if said else []


def _doubt(intervals: Mapping[str, Interval], step: str) -> str:
    """A difference that other photographs might have turned round is not to be read as one."""
    return " (interval includes 0)" if step in intervals and not intervals[step].excludes_zero else ""


def _points(value: float, other: float) -> float:
    """Of the rounded numbers, so that a reader who subtracts those in the table gets the same."""
    return round(100 * value, 1) - round(100 * other, 1)


def _difference(value: float | None, other: float | None) -> str:
    if value is None or other is None:
        return ""
    points = _points(value, other)
    if abs(points) < 0.05:
        return "level"
    amount = f"{abs(points):.1f}"
    return f"{amount} {'point' if amount == '1.0' else 'points'} {'above' if points > 0 else 'below'}"


def _below_cams(results: Sequence[MethodResult]) -> list[str]:
    """A propagation that makes the CAMs worse is not seen in a comparison of propagations."""
    sentences = []
    for one in results:
        at_best = one.number("cam_miou_best")
        cam = one.number("cam_miou") if at_best is None else at_best
        steps = (("before the CRF", one.number("pseudo_miou")), ("after the CRF", one.number("pseudo_miou_crf")))
        worse = [f"{percent(value)} {when}" for when, value in steps if _difference(value, cam).endswith("below")]
        if worse:
            against = f"{percent(cam)}{'' if at_best is None else ' at their best threshold'}"
            said = f"{' and '.join(worse)}, against {against}"
            sentences.append(f"{one.name}'s labels are worse than the raw CAMs they come from ({said}).")
    return sentences


def _unscored(results: Sequence[MethodResult]) -> list[str]:
    parts = unscored_parts(results)
    if not parts:
        return []
    names = " and the ".join(part.what for part in parts)
    return [f"There are no scores of the {names}: they need ground-truth masks (evaluate.masks). All else is shown."]


def _not_evaluated(results: Sequence[MethodResult], missing: Sequence[str]) -> list[str]:
    lists = [
        ("Not evaluated yet", list(missing)),
        ("Pseudo labels not evaluated yet", _lacking(results, LABELS_PART)),
        ("Segmentation network not evaluated yet", _lacking(results, NETWORK_PART)),
    ]
    return [f"{what}: {', '.join(names)}." for what, names in lists if names]


def _lacking(results: Sequence[MethodResult], part: Part) -> list[str]:
    return [one.name for one in results if not one.evaluated(part) and part.stage not in one.left_out]


def _left_out(results: Sequence[MethodResult]) -> list[str]:
    """What is on disk but not in the table; beside numbers of other parameters no comparison would hold."""
    folders = [f"{stage}/{one.name}" for one in results for stage in one.left_out]
    if not folders:
        return []
    return [f"Made with other parameters than those in params.yaml and left out: {', '.join(folders)}; run dvc repro."]


def basis(results: Sequence[MethodResult]) -> str:
    """Dataset, numbers of photographs and scored classes."""
    dataset = next((str(name) for one in results if (name := one.metrics.get("dataset"))), "without a name")
    evaluated = [part for part in REPORT_PARTS if any(one.evaluated(part) for one in results)]
    counts = ", ".join(_count(results, part) for part in evaluated) or "scored on an unknown number of photographs"
    said = f"Dataset {dataset}: {counts}."
    if not is_scored(results, *REPORT_PARTS):
        return said
    names = all_classes(results)
    return (
        f"{said} {len(names)} classes are scored: {', '.join(names)}. "
        "Pixels of any other class and those marked 255 are ignored."
    )


def _count(results: Sequence[MethodResult], part: Part) -> str:
    count = next(value for one in results if (value := one.number(part.count)) is not None)
    verb = "scored on" if is_scored(results, part) else part.done
    return f"{part.what} {verb} {count:.0f} {part.photographs}"
