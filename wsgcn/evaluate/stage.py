"""Stage ``evaluate``: score the labels of every step of one method against the ground truth, and draw them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wsgcn.errors import DataError, StageError
from wsgcn.evaluate.confusion import confusion, partial_quality, scores
from wsgcn.evaluate.job import Job
from wsgcn.evaluate.network import segment_all
from wsgcn.evaluate.panels import choose
from wsgcn.evaluate.pseudo import load_pseudo_labels, pseudo_panel, segmentation_panel
from wsgcn.evaluate.truth import load_checked
from wsgcn.runtime.workers import map_images
from wsgcn.store.files import read_json, write_atomic, write_json, write_table
from wsgcn.store.index import ImageRecord, load_index
from wsgcn.store.paths import Artifacts
from wsgcn.vocabulary import Method

if TYPE_CHECKING:
    from PIL import Image

    from wsgcn.params import Params

STAGES = ("cam", "pseudo", "pseudo_crf", "seg", "seg_crf")
"""What is scored: raw CAMs, propagated labels, the network's labels, the last two also after a CRF."""

Counts = dict[str, NDArray[np.int64]]
Score = Callable[[Job, ImageRecord, Counts, bool], bool]
"""Adds a photograph to the counts and, where asked, draws its panel; always True: the work was done."""


def metric_name(stage: str, what: str) -> str:
    """The name of a metric: ``pseudo_miou``, and ``pseudo_miou_crf`` after the CRF."""
    crf = "_crf" if stage.endswith("_crf") else ""
    return f"{stage.removesuffix('_crf')}_{what}{crf}"


def run(params: Params, artifacts: Artifacts, method: Method) -> dict[str, Any]:
    """Score one method and write ``metrics.json``, ``per_class.csv``, ``confusion.npz`` and ``panels/``.

    Returns:
        The content of ``metrics.json``.

    Raises:
        UsageError: a class to be scored is unknown.
        DataError: an input of the method as a whole is missing or broken, or there is nothing to score.
        StageError: some photographs failed; the metrics are not written, as they would be of other photographs.
    """
    job = Job(params, artifacts, method, load_index(artifacts.index))
    seconds = {stage: _seconds_per_image(artifacts.summary(stage, method.name)) for stage in ("propagate", "crf")}
    scored = job.index.split(params.dataset.score_split)
    val = job.index.split(params.dataset.val_split)
    shutil.rmtree(job.folder, ignore_errors=True)
    counts = _count(job, scored, val)
    metrics = _metrics(job, counts) | {
        "seconds_per_image": seconds,
        "images": len(scored),
        "val_images": len(val),
    }
    _write(job, counts, metrics)
    return metrics


def _seconds_per_image(path: Path) -> float:
    summary = read_json(path)
    try:
        return float(summary["seconds_per_image"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is no summary of its stage ({error!r}): delete it and run that stage again") from error


def _count(job: Job, scored: list[ImageRecord], val: list[ImageRecord]) -> Counts:
    """Confusion matrix by stage, plus ``partial`` in grid cells; every photograph is tried before any error."""
    zero = np.zeros((job.classes, job.classes + 1), dtype=np.int64)
    counts = {stage: zero.copy() for stage in (*STAGES, "partial")}
    steps: tuple[Callable[[], None], ...] = (
        lambda: _score(job, "score pseudo labels", scored, _score_pseudo, counts),
        lambda: segment_all(job, val),
        lambda: _score(job, "score segmentation", val, _score_segmentation, counts),
    )
    failures: dict[str, str] = {}
    for step in steps:
        try:
            step()
        except StageError as error:
            failures = error.failures | failures  # the first reason is the cause of the later ones
    if failures:
        raise StageError("evaluate", failures, len({image.id for image in (*scored, *val)}))
    return counts


def _score(job: Job, label: str, images: list[ImageRecord], score: Score, counts: Counts) -> None:
    """Add every photograph to the counts, in this process: reading is most of the work, and counts are shared."""
    drawn = set(choose([image.id for image in images], job.params.evaluate.panels))
    map_images(
        lambda image: score(job, image, counts, image.id in drawn),
        images,
        stage="evaluate",
        label=f"{job.method.name}: {label}",
        workers=1,
    )


def _score_pseudo(job: Job, image: ImageRecord, counts: Counts, draw: bool) -> bool:
    labels = load_pseudo_labels(job, image)
    if draw:
        _save_panel(job, f"panels/{image.id}.png", pseudo_panel(job, image, labels))
    for stage, found in labels.stages.items():
        counts[stage] += confusion(labels.truth, found, job.classes)
    counts["partial"] += confusion(labels.truth_cells, labels.partial, job.classes)
    return True


def _score_segmentation(job: Job, image: ImageRecord, counts: Counts, draw: bool) -> bool:
    truth = job.truth(image)
    found = {
        stage: load_checked(job.folder / folder / f"{image.id}.png", truth.shape, job.classes)
        for stage, folder in (("seg", "val"), ("seg_crf", "val_crf"))
    }
    if draw:
        _save_panel(job, f"panels/val/{image.id}.png", segmentation_panel(job, image, found, truth))
    for stage, labels in found.items():
        counts[stage] += confusion(truth, labels, job.classes)
    return True


def _save_panel(job: Job, name: str, panel: Image.Image) -> None:
    write_atomic(job.folder / name, lambda file: panel.save(file, format="PNG", optimize=True))


def _metrics(job: Job, counts: Counts) -> dict[str, Any]:
    names = job.index.class_names
    metrics: dict[str, Any] = {
        "method": job.method.name,
        "variant": job.method.variant,
        "propagation": job.method.propagation,
        "dataset": job.index.name,
        "classes": [names[one] for one in job.scored],
    }
    for stage in STAGES:
        quality = scores(counts[stage], job.scored)
        metrics[metric_name(stage, "miou")] = quality.miou
        metrics[metric_name(stage, "pixel_accuracy")] = quality.pixel_accuracy
        metrics[metric_name(stage, "coverage")] = quality.coverage
        metrics[metric_name(stage, "iou")] = {names[one]: value for one, value in quality.iou.items()}
    if job.method.propagation == "gcn":
        metrics["partial"] = _partial_metrics(job, counts["partial"])
    return metrics


def _partial_metrics(job: Job, counts: NDArray[np.int64]) -> dict[str, Any]:
    names = job.index.class_names
    quality = partial_quality(counts, job.scored)
    return {
        "foreground_share": quality.foreground_share,
        "foreground_precision": quality.foreground_precision,
        "share": {names[one]: value for one, value in quality.share.items()},
        "precision": {names[one]: value for one, value in quality.precision.items()},
    }


def _write(job: Job, counts: Counts, metrics: dict[str, Any]) -> None:
    if job.method.propagation != "gcn":
        del counts["partial"]
    write_atomic(job.folder / "confusion.npz", lambda file: np.savez_compressed(file, **counts))  # type: ignore[arg-type]
    columns = [metric_name(stage, "iou") for stage in STAGES]
    rows = [[name, *("" if metrics[one][name] is None else metrics[one][name] for one in columns)]
            for name in metrics["classes"]]  # fmt: skip
    write_table(job.folder / "per_class.csv", ["class", *columns], rows)
    write_json(job.artifacts.metrics(job.method.name), metrics)
