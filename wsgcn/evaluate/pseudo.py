"""The labels of one photograph at each step from CAMs to pseudo labels, beside their ground truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsgcn.errors import DataError
from wsgcn.evaluate.job import Job
from wsgcn.evaluate.panels import Tile, draw_panel, heat_overlay, label_overlay
from wsgcn.evaluate.truth import at_cells, load_checked
from wsgcn.ops.resize import resize_maps, upsample_labels
from wsgcn.ops.scores import with_constant
from wsgcn.store.index import ImageRecord
from wsgcn.store.records import Cams, Scores, load_record
from wsgcn.vocabulary import BACKGROUND, IGNORE

Record = TypeVar("Record", Cams, Scores)


@dataclass(frozen=True)
class PseudoLabels:
    """One photograph on its way to pseudo labels.

    Attributes:
        truth: ``(H, W)`` uint8, 255 = not scored.
        stages: ``(H, W)`` uint8 class ids by stage: ``cam``, ``pseudo``, ``pseudo_crf``.
        partial: ``(h, w)`` uint8, what the GCN learned from; all 255 for a random walk.
        heat: ``(H, W)`` float32, highest CAM.
    """

    truth: NDArray[np.uint8]
    stages: dict[str, NDArray[np.uint8]]
    partial: NDArray[np.uint8]
    heat: NDArray[np.float32]

    @property
    def truth_cells(self) -> NDArray[np.uint8]:
        """The truth on the grid of the partial labels."""
        return at_cells(self.truth, self.partial.shape)


def cam_labels(cams: Cams, background: float, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Raw CAMs as ``(*size)`` labels, where background has the constant score ``background`` everywhere."""
    class_ids = np.concatenate([[BACKGROUND], cams.class_ids])
    return upsample_labels(class_ids, with_constant(cams.cams, background), size)


def load_pseudo_labels(job: Job, image: ImageRecord) -> PseudoLabels:
    """Read what the stages made of one photograph.

    Raises:
        DataError: a file is missing or broken, has another size or an unknown class.
    """
    size = (image.height, image.width)
    truth = job.truth(image)
    cams = _load(job, "cams", job.method.variant, image.id, Cams)
    scores = _load(job, "propagate", job.method.name, image.id, Scores)
    refined = job.artifacts.label_map("crf", job.method.name, image.id)
    stages = {
        "cam": cam_labels(cams, job.params.evaluate.cam_background, size),
        "pseudo": upsample_labels(scores.class_ids, scores.scores, size),
        "pseudo_crf": load_checked(refined, size, job.classes),
    }
    return PseudoLabels(truth, stages, scores.partial_labels, resize_maps(cams.cams, size).max(axis=0))


def _load(job: Job, stage: str, name: str, image_id: str, kind: type[Record]) -> Record:
    path = job.artifacts.arrays(stage, name, image_id)
    record = load_record(path, kind)
    if int(record.class_ids.max()) >= job.classes:
        raise DataError(f"{path} holds class id {record.class_ids.max()}, but the dataset has {job.classes} classes")
    return record


def pseudo_panel(job: Job, image: ImageRecord, labels: PseudoLabels) -> Image.Image:
    """Photograph, CAM, partial labels, labels before and after the CRF, ground truth."""
    rgb_u8 = job.photo(image)
    tiles: list[Tile] = [(image.id, rgb_u8), ("CAM", heat_overlay(rgb_u8, labels.heat))]
    shown = [*labels.stages.values(), labels.truth]
    if job.method.propagation == "gcn":
        cells = at_cells(labels.partial, rgb_u8.shape[:2])
        tiles.append(("partial labels", label_overlay(rgb_u8, cells)))
        shown.append(cells)
    tiles += [
        ("propagated", label_overlay(rgb_u8, labels.stages["pseudo"])),
        ("after CRF", label_overlay(rgb_u8, labels.stages["pseudo_crf"])),
        ("ground truth", label_overlay(rgb_u8, labels.truth)),
    ]
    return draw_panel(tiles, _legend(job, shown))


def segmentation_panel(
    job: Job, image: ImageRecord, stages: dict[str, NDArray[np.uint8]], truth: NDArray[np.uint8]
) -> Image.Image:
    """Photograph, the network's labels before and after the CRF, ground truth."""
    rgb_u8 = job.photo(image)
    tiles = [
        (image.id, rgb_u8),
        ("segmentation", label_overlay(rgb_u8, stages["seg"])),
        ("after CRF", label_overlay(rgb_u8, stages["seg_crf"])),
        ("ground truth", label_overlay(rgb_u8, truth)),
    ]
    return draw_panel(tiles, _legend(job, [*stages.values(), truth]))


def _legend(job: Job, shown: list[NDArray[np.uint8]]) -> list[tuple[int, str]]:
    """Id and name of every class in the label maps that are shown, 255 last."""
    present = sorted({int(one) for labels in shown for one in np.unique(labels)})
    return [(one, "unlabelled / not scored" if one == IGNORE else job.index.class_names[one]) for one in present]
