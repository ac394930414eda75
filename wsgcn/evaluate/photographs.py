"""The counts of each photograph: kept for comparisons in pairs, and summed to find the best background."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsgcn.evaluate.confusion import class_counts
from wsgcn.evaluate.evaluation import Evaluation
from wsgcn.evaluate.labels import PseudoLabels
from wsgcn.evaluate.results import Counts
from wsgcn.evaluate.sweep import THRESHOLDS, sweep_counts
from wsgcn.ops.grid import at_cells
from wsgcn.ops.iou import mean_iou
from wsgcn.store.counts import PhotographCounts, save_counts

BEST = {"cam": ("cam_best_background", "cam_miou_best"), "pseudo": ("best_background", "pseudo_miou_best")}
"""By step, the names of its best background and of the mIoU with it."""


class CountsByPhotograph:
    """Takes the counts of one photograph after the other, where there is ground truth.

    Args:
        evaluation: what is evaluated.
    """

    def __init__(self, evaluation: Evaluation):
        self._evaluation = evaluation
        self._ids: list[str] = []
        self._steps: dict[str, list[NDArray[np.int32]]] = defaultdict(list)
        self._sweeps: dict[str, list[NDArray[np.int32]]] = defaultdict(list)

    def add(self, image_id: str, labels: PseudoLabels, counts: Counts) -> None:
        """Take a photograph.

        Args:
            image_id: the photograph's.
            labels: its labels at every step.
            counts: of each step, ``(C, C + 1)`` as of :func:`~wsgcn.evaluate.confusion.confusion`.
        """
        self._ids.append(image_id)
        if labels.truth is None:
            return
        for step in labels.steps:
            self._steps[step].append(class_counts(counts[step], self._evaluation.class_ids).astype(np.int32))
        for step, found in labels.foregrounds.items():
            self._sweeps[step].append(
                sweep_counts(at_cells(labels.truth, found.labels.shape), found, self._evaluation.class_ids)
            )

    def save(self) -> dict[str, Any]:
        """Write ``photographs.npz``: every step, and ``<step>_best`` for those with a background to choose.

        Returns:
            The best background of each of these, and the mIoU with it; of equal ones the lowest background.
        """
        steps = {step: np.stack(found) for step, found in self._steps.items()}
        scores: dict[str, Any] = {}
        for step, sweeps in self._sweeps.items():
            by_photograph = np.stack(sweeps)  # (N, T, K, 3)
            mious = mean_iou(by_photograph.sum(axis=0))
            best = int(mious.argmax())
            steps[f"{step}_best"] = by_photograph[:, best]
            scores |= dict(zip(BEST[step], (THRESHOLDS[best], float(mious[best]))))
        evaluation = self._evaluation
        names = tuple(evaluation.index.class_names[one] for one in evaluation.class_ids)
        path = evaluation.artifacts.photographs(evaluation.method.name)
        save_counts(path, PhotographCounts(tuple(self._ids), names, steps))
        return scores
