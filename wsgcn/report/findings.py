"""What the numbers say, in sentences that are as honest about a loss as about a gain."""

from __future__ import annotations

from collections.abc import Sequence

from wsgcn.report.results import Result, all_classes, same_basis
from wsgcn.report.table import percent
from wsgcn.vocabulary import METHODS, VARIANTS, find_method


def findings(results: Sequence[Result]) -> list[str]:
    """The paper's propagation against the baseline for each variant, the best network, and what is missing."""
    by_name = {one.name: one for one in results}
    sentences = []
    for variant in VARIANTS:
        gcn, walk = (by_name.get(find_method(variant, one).name) for one in ("gcn", "random-walk"))
        if gcn and walk:
            sentences += _compare(gcn, walk)
    sentences += _best_network(results)
    missing = [name for name in METHODS if name not in by_name]
    if missing:
        sentences.append(f"Not evaluated yet: {', '.join(missing)}.")
    if not same_basis(results):
        sentences.append(
            "Take care: the methods were not scored on the same photographs and classes; run dvc repro to compare them."
        )
    return sentences


def _compare(gcn: Result, walk: Result) -> list[str]:
    before, after, network = (
        _difference(gcn.number(metric), walk.number(metric))
        for metric in ("pseudo_miou", "pseudo_miou_crf", "seg_miou_crf")
    )
    parts = [
        f"its pseudo labels are {before} before the CRF" if before else "",
        f"{'' if before else 'its pseudo labels are '}{after} after the CRF" if after else "",
        f"its segmentation network is {network} after its own CRF" if network else "",
    ]
    said = ", ".join(part for part in parts if part)
    return [f"{gcn.name} against {walk.name}, by mIoU: {said}."] if said else []


def _difference(value: float | None, other: float | None) -> str:
    if value is None or other is None:
        return ""
    # Of the rounded numbers, so that a reader who subtracts those in the table gets the same.
    points = round(100 * value, 1) - round(100 * other, 1)
    if abs(points) < 0.05:
        return "level"
    amount = f"{abs(points):.1f}"
    return f"{amount} {'point' if amount == '1.0' else 'points'} {'above' if points > 0 else 'below'}"


def _best_network(results: Sequence[Result]) -> list[str]:
    known = [(value, one.name) for one in results if (value := one.number("seg_miou_crf")) is not None]
    if len(known) < 2:
        return []
    best = max(known)[0]
    names = [name for value, name in known if percent(value) == percent(best)]
    return [f"The best segmentation network after its CRF: {' and '.join(names)}, {percent(best)} % mIoU."]


def basis(results: Sequence[Result]) -> str:
    """Dataset, numbers of photographs and scored classes."""
    first = results[0]
    images, val = (_count(first, key) for key in ("images", "val_images"))
    names = all_classes(results)
    return (
        f"Dataset {first.metrics.get('dataset') or 'without a name'}: pseudo labels scored on {images} photographs, "
        f"segmentation networks on {val} validation photographs. "
        f"{len(names)} classes are scored: {', '.join(names)}. "
        "Pixels of any other class and those marked 255 are ignored."
    )


def _count(result: Result, key: str) -> str:
    value = result.number(key)
    return "an unknown number of" if value is None else f"{value:.0f}"
