"""What both stages of the evaluation write: numbers for people and MLflow, and tables that DVC plots."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wsgcn.evaluate.confusion import confusion, count_labels, label_quality, labelled_share
from wsgcn.evaluate.evaluation import Evaluation
from wsgcn.ops.panels import choose
from wsgcn.runtime.workers import EachImage, map_images
from wsgcn.store.files import write_atomic, write_json, write_table
from wsgcn.store.index import ImageRecord
from wsgcn.store.seal import write_sealed

if TYPE_CHECKING:
    from PIL import Image

Counts = dict[str, NDArray[np.int64]]
"""By step: ``(C, C + 1)`` of :func:`confusion`; without ground truth ``(C + 1,)`` of :func:`count_labels`."""

CountImage = Callable[[Evaluation, ImageRecord, bool], Counts]
"""Counts the pixels of one photograph and, where asked, draws its panel."""

PER_CLASS = ("class", "step", "iou")
"""Columns of ``per_class.csv``; a class that is nowhere in a step has no IoU and no row."""

CONFUSION = ("actual", "predicted", "share")
"""Columns of ``confusion.csv``: which share of a class's pixels was given which label."""

UNLABELLED = "unlabelled"


def metric_name(step: str, what: str) -> str:
    """The name of a metric: ``pseudo_miou``, and ``pseudo_miou_crf`` after the CRF."""
    crf = "_crf" if step.endswith("_crf") else ""
    return f"{step.removesuffix('_crf')}_{what}{crf}"


def count_images(evaluation: Evaluation, images: Sequence[ImageRecord], count: CountImage, label: str) -> Counts:
    """Add up the counts of all photographs, in this process: reading is most of the work.

    Args:
        evaluation: what is evaluated.
        images: the photographs.
        count: of one photograph.
        label: text before the progress bar.

    Raises:
        StageError: some photographs failed, after all were tried.
    """
    total: Counts = {}
    drawn = frozenset(choose([image.id for image in images], evaluation.params.evaluate.panels))

    def add(image: ImageRecord) -> None:
        for step, counts in count(evaluation, image, image.id in drawn).items():
            total[step] = total.get(step, 0) + counts

    groups = [[image] for image in images]
    label = f"{evaluation.method.name}: {label}"
    map_images(EachImage(add), groups, stage=evaluation.stage, label=label, workers=1)
    return total


def count_pixels(
    evaluation: Evaluation, labels: NDArray[np.uint8], truth: NDArray[np.uint8] | None
) -> NDArray[np.int64]:
    """The counts of one label map, with its ground truth or without."""
    if truth is None:
        return count_labels(labels, evaluation.classes)
    return confusion(truth, labels, evaluation.classes)


def save_panel(evaluation: Evaluation, image: ImageRecord, panel: Image.Image) -> None:
    """Write ``panels/<id>.png``."""
    path = evaluation.folder / "panels" / f"{image.id}.png"
    write_atomic(path, lambda file: panel.save(file, format="PNG"))


def describe(evaluation: Evaluation) -> dict[str, Any]:
    """What was evaluated: the entries with which every ``scores.json`` begins."""
    return {
        "method": evaluation.method.name,
        "variant": evaluation.method.variant.name,
        "propagation": evaluation.method.propagation.kind,
        "dataset": evaluation.index.name,
        "classes": [evaluation.index.class_names[one] for one in evaluation.class_ids],
    }


def step_scores(evaluation: Evaluation, step: str, counts: NDArray[np.int64]) -> dict[str, Any]:
    """Mean IoU, pixel accuracy, coverage and IoU by class of one step; without ground truth the coverage alone.

    Raises:
        DataError: there is nothing to score.
    """
    if evaluation.masks is None:
        return {metric_name(step, "coverage"): labelled_share(counts)}
    quality = label_quality(counts, evaluation.class_ids)
    names = evaluation.index.class_names
    return {
        metric_name(step, "miou"): quality.miou,
        metric_name(step, "pixel_accuracy"): quality.pixel_accuracy,
        metric_name(step, "coverage"): quality.coverage,
        metric_name(step, "iou"): {names[one]: value for one, value in quality.iou.items()},
    }


def write_results(
    evaluation: Evaluation, counts: Counts, scores: dict[str, Any], steps: Sequence[str], metrics: Sequence[str]
) -> None:
    """Write ``confusion.npz``, ``per_class.csv``, ``confusion.csv``, ``scores.json`` and last ``metrics.json``.

    Args:
        evaluation: what was evaluated.
        counts: of every step; those without ground truth are no confusion matrices and are not written.
        scores: content of ``scores.json``.
        steps: those in ``per_class.csv``; the last one is in ``confusion.csv``.
        metrics: names of the scores that DVC compares.
    """
    folder, artifacts, name = evaluation.folder, evaluation.artifacts, evaluation.method.name
    matrices = {} if evaluation.masks is None else counts
    (folder / "panels").mkdir(parents=True, exist_ok=True)  # DVC wants every output, also an empty one
    write_sealed(folder / "confusion.npz", lambda file: np.savez_compressed(file, **matrices))  # type: ignore[arg-type]
    write_table(folder / "per_class.csv", PER_CLASS, _per_class_rows(scores, steps))
    write_table(folder / "confusion.csv", CONFUSION, _confusion_rows(evaluation, matrices.get(steps[-1])))
    write_json(artifacts.scores(evaluation.stage, name), scores)
    write_json(artifacts.metrics(evaluation.stage, name), {one: scores[one] for one in metrics if one in scores})


def _per_class_rows(scores: dict[str, Any], steps: Sequence[str]) -> Iterator[tuple[str, str, float]]:
    for name in scores["classes"]:
        for step in steps:
            iou = scores.get(metric_name(step, "iou"), {}).get(name)
            if iou is not None:
                yield name, step, iou


def _confusion_rows(evaluation: Evaluation, counts: NDArray[np.int64] | None) -> Iterator[tuple[str, str, float]]:
    if counts is None:
        return
    names = evaluation.index.class_names
    for class_id in evaluation.class_ids:
        total = counts[class_id].sum()
        if total:
            for predicted, share in zip((*names, UNLABELLED), (counts[class_id] / total).tolist()):
                yield names[class_id], predicted, share
