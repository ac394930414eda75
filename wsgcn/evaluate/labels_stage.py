"""Stage ``evaluate-labels``: score and draw a method's labels, from raw CAMs to pseudo labels; needs no network."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wsgcn.evaluate.confusion import confusion, partial_label_quality
from wsgcn.evaluate.evaluation import Evaluation, start_evaluation
from wsgcn.evaluate.labels import draw_labels, load_pseudo_labels
from wsgcn.evaluate.photographs import CountsByPhotograph
from wsgcn.evaluate.results import Counts, count_images, count_pixels, describe, save_panel, step_scores, write_results
from wsgcn.ops.grid import at_cells
from wsgcn.runtime.per_image import seconds_per_image
from wsgcn.runtime.progress import Warn
from wsgcn.store.index import ImageRecord
from wsgcn.store.learned import measured_networks
from wsgcn.store.paths import Artifacts

if TYPE_CHECKING:
    from wsgcn.methods import Method
    from wsgcn.params import Params

STAGE = "evaluate-labels"
STEPS = ("cam", "pseudo", "pseudo_crf")
"""What is scored: raw CAMs, propagated labels, and those after the CRF."""
METRICS = ("cam_miou", "pseudo_miou", "pseudo_miou_crf")
PARTIAL = "partial"
"""Name of the confusion matrix of the partial labels, in grid cells."""


def evaluate_labels(params: Params, artifacts: Artifacts, method: Method, warn: Warn) -> dict[str, Any]:
    """Score one method's labels of ``dataset.score_split``.

    Writes what :func:`write_results` lists, ``photographs.npz`` and ``panels/``. Without any mask all is made but
    scores.

    Args:
        params: the whole of ``params.yaml``.
        artifacts: where files lie.
        method: whose labels.
        warn: told where there are no masks.

    Returns:
        The content of ``scores.json``.

    Raises:
        UsageError: a class to be scored is unknown.
        DataError: an input of the method as a whole is missing or broken, or there is nothing to score.
        StageError: some photographs failed; no scores are written, as they would be of other photographs.
    """
    evaluation, images = start_evaluation(params, artifacts, method, STAGE, params.dataset.score_split, warn)
    scores = describe(evaluation) | {"images": len(images), "seconds_per_image": _seconds_per_image(evaluation)}
    scores |= measured_networks(artifacts, ("cams-train", "affinity-train"), method.variant.name)
    by_photograph = CountsByPhotograph(evaluation)
    counts = count_images(evaluation, images, partial(_count_labels, by_photograph), "score labels")
    for step in STEPS:
        scores |= step_scores(evaluation, step, counts[step])
    scores |= by_photograph.save()
    if PARTIAL in counts:
        scores[PARTIAL] = _partial_scores(evaluation, counts[PARTIAL])
    write_results(evaluation, counts, scores, STEPS, METRICS)
    return scores


def _seconds_per_image(evaluation: Evaluation) -> dict[str, float | None]:
    stages = ("propagate", "crf")
    return {one: seconds_per_image(evaluation.artifacts.summary(one, evaluation.method.name)) for one in stages}


def _count_labels(by_photograph: CountsByPhotograph, evaluation: Evaluation, image: ImageRecord, draw: bool) -> Counts:
    labels = load_pseudo_labels(evaluation, image)
    if draw:
        save_panel(evaluation, image, draw_labels(evaluation, image, labels))
    counts = {step: count_pixels(evaluation, found, labels.truth) for step, found in labels.steps.items()}
    by_photograph.add(image.id, labels, counts)
    if labels.partial is not None and labels.truth is not None:
        cells = at_cells(at_cells(labels.truth, image.seen), labels.partial.shape, labels.stride)
        counts[PARTIAL] = confusion(cells, labels.partial, evaluation.classes)
    return counts


def _partial_scores(evaluation: Evaluation, counts: NDArray[np.int64]) -> dict[str, Any]:
    names = evaluation.index.class_names
    quality = partial_label_quality(counts, evaluation.class_ids)
    return {
        "foreground_share": quality.foreground_share,
        "foreground_precision": quality.foreground_precision,
        "share": {names[one]: value for one, value in quality.share.items()},
        "precision": {names[one]: value for one, value in quality.precision.items()},
    }
