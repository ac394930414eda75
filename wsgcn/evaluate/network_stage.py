"""Stage ``evaluate``: segment the validation photographs with a method's network, score and draw the result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wsgcn.errors import StageError
from wsgcn.evaluate.evaluation import Evaluation, start_evaluation
from wsgcn.evaluate.network import FOLDERS, segment_photographs
from wsgcn.evaluate.results import Counts, count_images, count_pixels, describe, save_panel, step_scores, write_results
from wsgcn.ops.grid import at_cells
from wsgcn.ops.panels import draw_panel, find_legend, label_overlay
from wsgcn.runtime.progress import Warn
from wsgcn.store.index import ImageRecord
from wsgcn.store.label_maps import load_labels_of
from wsgcn.store.learned import measured_networks
from wsgcn.store.paths import Artifacts

if TYPE_CHECKING:
    from PIL import Image

    from wsgcn.methods import Method
    from wsgcn.params import Params

STAGE = "evaluate"
STEPS = ("seg", "seg_crf")
"""What is scored: the network's labels before and after the CRF."""
METRICS = ("seg_miou", "seg_miou_crf")
CAPTIONS = {"seg": "segmentation", "seg_crf": "after CRF"}


def evaluate_network(params: Params, artifacts: Artifacts, method: Method, warn: Warn) -> dict[str, Any]:
    """Segment and score one method's network on ``dataset.val_split``.

    Writes what :func:`write_results` lists, ``panels/``, ``val/`` and ``val_crf/``. Without any mask all is made but
    scores.

    Args:
        params: the whole of ``params.yaml``.
        artifacts: where files lie.
        method: whose network.
        warn: told where there are no masks.

    Returns:
        The content of ``scores.json``.

    Raises:
        UsageError: a class to be scored is unknown.
        DataError: the checkpoint or the index is missing or broken, or there is nothing to score.
        StageError: some photographs failed; no scores are written, as they would be of other photographs.
    """
    evaluation, images = start_evaluation(params, artifacts, method, STAGE, params.dataset.val_split, warn)
    scores = describe(evaluation) | {"val_images": len(images)}
    scores |= measured_networks(artifacts, ["segtrain"], method.name)
    counts = _segment_and_count(evaluation, images)
    for step in counts:
        scores |= step_scores(evaluation, step, counts[step])
    write_results(evaluation, counts, scores, STEPS, METRICS)
    return scores


def _segment_and_count(evaluation: Evaluation, images: Sequence[ImageRecord]) -> Counts:
    """Every photograph is segmented and counted before any error; the first reason is the cause of a later one."""
    failures: dict[str, str] = {}
    counts: Counts = {}
    try:
        segment_photographs(evaluation, images)
    except StageError as error:
        failures = error.failures
    try:
        counts = count_images(evaluation, images, _count_segmentation, "score segmentation")
    except StageError as error:
        failures = error.failures | failures
    if failures:
        raise StageError(STAGE, failures, len(images))
    return counts


def _count_segmentation(evaluation: Evaluation, image: ImageRecord, draw: bool) -> Counts:
    truth = evaluation.truth(image)
    found = {
        step: load_labels_of(evaluation.folder / folder / f"{image.id}.png", image, evaluation.classes)
        for step, folder in zip(STEPS, FOLDERS)
    }
    if draw:
        save_panel(evaluation, image, _draw_segmentation(evaluation, image, found, truth))
    if truth is None:  # a network labels every pixel: there is no coverage to count
        return {}
    return {step: count_pixels(evaluation, labels, truth) for step, labels in found.items()}


def _draw_segmentation(
    evaluation: Evaluation,
    image: ImageRecord,
    found: dict[str, NDArray[np.uint8]],
    truth: NDArray[np.uint8] | None,
) -> Image.Image:
    """Photograph, the network's labels before and after the CRF, ground truth where there is any."""
    rgb_u8 = evaluation.photo(image)
    shown = {CAPTIONS[step]: labels for step, labels in found.items()}
    if truth is not None:
        shown["ground truth"] = truth
    shown = {caption: at_cells(labels, image.seen) for caption, labels in shown.items()}
    tiles = [(image.id, rgb_u8), *((caption, label_overlay(rgb_u8, labels)) for caption, labels in shown.items())]
    return draw_panel(tiles, find_legend([*shown.values()], evaluation.index.class_names))
