"""The labels of one photograph at each step from CAMs to pseudo labels, beside their ground truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsgcn.evaluate.evaluation import Evaluation
from wsgcn.evaluate.sweep import Foreground, foregrounds
from wsgcn.ops.grid import at_cells, covering_scores
from wsgcn.ops.panels import Tile, draw_panel, find_legend, heat_overlay, label_overlay
from wsgcn.ops.resize import resize_maps, upsample_labels
from wsgcn.ops.scores import with_constant
from wsgcn.store.index import ImageRecord
from wsgcn.store.label_maps import load_labels_of
from wsgcn.store.records import Cams, Scores, load_record_of
from wsgcn.vocabulary import BACKGROUND


@dataclass(frozen=True)
class PseudoLabels:
    """One photograph on its way to pseudo labels.

    Attributes:
        truth: ``(H, W)`` uint8, 255 = not scored; None without ground truth.
        steps: ``(H, W)`` uint8 class ids by step: ``cam``, ``pseudo``, ``pseudo_crf``.
        partial: ``(h, w)`` uint8, what the propagation learned from; None where it uses no partial labels.
        heat: highest CAM, float32, of the size at which the photograph is seen.
        foregrounds: by step, what labels the photograph with any other background, of that size too.
        stride: pixels a cell of the partial labels, as in the scores.
    """

    truth: NDArray[np.uint8] | None
    steps: dict[str, NDArray[np.uint8]]
    partial: NDArray[np.uint8] | None
    heat: NDArray[np.float32]
    foregrounds: dict[str, Foreground]
    stride: int

    def partial_at(self, size: tuple[int, int]) -> NDArray[np.uint8] | None:
        """The partial labels as ``(*size)`` pixels of the photograph; None where there are none."""
        a_pixel = 1 / self.stride if self.stride else 0
        return None if self.partial is None else at_cells(self.partial, size, a_pixel)


def cam_labels(cams: Cams, background: float, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Raw CAMs as ``(*size)`` labels, where background has the constant score ``background`` everywhere."""
    class_ids = np.concatenate([[BACKGROUND], cams.class_ids])
    return upsample_labels(class_ids, with_constant(cams.finest, background), size)


def load_pseudo_labels(evaluation: Evaluation, image: ImageRecord) -> PseudoLabels:
    """Read what the stages made of one photograph.

    Raises:
        DataError: a file is missing or broken, has another size or an unknown class.
    """
    seen, method = image.seen, evaluation.method
    truth = evaluation.truth(image)
    artifacts = evaluation.artifacts
    cams = load_record_of(artifacts.arrays("cams", method.variant.name, image.id), Cams, image)
    scores = load_record_of(artifacts.arrays("propagate", method.name, image.id), Scores, image)
    stride, logarithmic = int(scores.stride), bool(scores.logarithmic)
    maps, cam_maps = covering_scores(scores.scores, seen, stride, logarithmic), resize_maps(cams.finest, seen)
    refined = artifacts.label_map("crf", method.name, image.id)
    background = evaluation.params.evaluate.background_of(method.variant.cams_name)
    steps = {
        "cam": cam_labels(cams, background, image.size),
        "pseudo": upsample_labels(scores.class_ids, maps, image.size, logarithmic),
        "pseudo_crf": load_labels_of(refined, image, evaluation.classes),
    }
    partial = scores.partial_labels if method.propagation.partial_labels_used else None
    found = {} if truth is None else foregrounds(method, cams.class_ids, cam_maps, scores.class_ids, maps)
    return PseudoLabels(truth, steps, partial, cam_maps.max(axis=0), found, stride)


def draw_labels(evaluation: Evaluation, image: ImageRecord, labels: PseudoLabels) -> Image.Image:
    """Photograph, CAM, partial labels, labels before and after the CRF, ground truth; those that there are."""
    rgb_u8 = evaluation.photo(image)
    shown: dict[str, NDArray[np.uint8]] = {}
    if (partial := labels.partial_at(image.seen)) is not None:
        shown["partial labels"] = partial
    full = {"propagated": labels.steps["pseudo"], "after CRF": labels.steps["pseudo_crf"]}
    if labels.truth is not None:
        full["ground truth"] = labels.truth
    shown |= {caption: at_cells(one, image.seen) for caption, one in full.items()}
    tiles: list[Tile] = [(image.id, rgb_u8), ("CAM", heat_overlay(rgb_u8, labels.heat))]
    tiles += [(caption, label_overlay(rgb_u8, one)) for caption, one in shown.items()]
    return draw_panel(tiles, find_legend([*shown.values(), labels.steps["cam"]], evaluation.index.class_names))
