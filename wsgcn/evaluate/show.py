"""One photograph's way through a method, as one picture like the paper's figure 2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wsgcn.errors import UsageError
from wsgcn.evaluate.evaluation import Evaluation
from wsgcn.evaluate.network import find_network, segmenter
from wsgcn.evaluate.truth import find_masks
from wsgcn.ops.grid import Grid, at_cells, covering_scores
from wsgcn.ops.panels import Tile, draw_panel, find_legend, heat_overlay, label_overlay
from wsgcn.ops.resize import resize_maps, upsample_labels
from wsgcn.store.index import ImageRecord, Index
from wsgcn.store.paths import Artifacts
from wsgcn.store.records import Affinity, Cams, Scores, load_record_of

if TYPE_CHECKING:
    from wsgcn.methods import Method
    from wsgcn.params import Params

STAGE = "show"
"""The command's word, and its folder."""
WIDTH, TILE_HEIGHT = 1280, 200  # pixels: of the picture, where a row has four photographs of 3:2; of a tile
NAMED = 3
"""Ids that a message names."""


def find_photograph(index: Index, split: str, text: str) -> ImageRecord:
    """The photograph of a split with this id, or the only one with this in its id.

    Raises:
        UsageError: there is none, or more than one; the message names some ids.
        DataError: the split is empty.
    """
    images = {image.id: image for image in index.split(split)}
    found = [text] if text in images else [one for one in images if text in one]
    if len(found) == 1:
        return images[found[0]]
    if found:
        more = ", …" if len(found) > NAMED else ""
        raise UsageError(f"{len(found)} ids have {text!r} in them, {', '.join(found[:NAMED])}{more}: give more of one")
    if any(image.id == text for image in index.images):
        raise UsageError(f"{text} is not in dataset.train_split, {split}, whose photographs alone get labels")
    nearest = ", ".join(get_close_matches(text, images, NAMED, cutoff=0))
    raise UsageError(f"no photograph of {split} is called {text!r}: the nearest ids are {nearest}")


@dataclass(frozen=True)
class Way:
    """What there is to see of one photograph in a method, by caption and in order.

    Attributes:
        rgb_u8: ``(H, W, 3)``, the photograph.
        heats: ``(H, W)`` float32 maps in [0, 1]: the CAM of each class, and the boundary where there is one.
        labels: ``(H, W)`` uint8 class ids, 255 = unlabelled: partial labels, each step, after the CRF, the network's,
            ground truth; those that there are.
    """

    rgb_u8: NDArray[np.uint8]
    heats: dict[str, NDArray[np.float32]]
    labels: dict[str, NDArray[np.uint8]]

    def tiles(self) -> list[Tile]:
        """The photograph, and everything else laid over it."""
        heats = [(caption, heat_overlay(self.rgb_u8, heat)) for caption, heat in self.heats.items()]
        labels = [(caption, label_overlay(self.rgb_u8, one)) for caption, one in self.labels.items()]
        return [("photograph", self.rgb_u8), *heats, *labels]


def draw_way(
    params: Params,
    artifacts: Artifacts,
    method: Method,
    index: Index,
    image: ImageRecord,
    steps: Sequence[tuple[str, Scores]],
) -> Image.Image:
    """Draw all that there is to see of one photograph in a method.

    Args:
        params: the whole of ``params.yaml``.
        artifacts: where files lie.
        method: whose way.
        index: the dataset.
        image: the photograph.
        steps: captions and scores of the propagation; the last ones are the method's own.

    Raises:
        DataError: a file is broken, or does not fit the photograph.
    """
    masks = find_masks(Path(params.evaluate.masks), [image])
    way = find_way(Evaluation(params, artifacts, method, index, STAGE, masks), image, steps)
    tags = ", ".join(index.class_names[one] for one in image.class_ids)
    title = f"{image.id} by {method.name}; tags: {tags}"
    return draw_panel(way.tiles(), find_legend(way.labels.values(), index.class_names), TILE_HEIGHT, title, WIDTH)


def find_way(evaluation: Evaluation, image: ImageRecord, steps: Sequence[tuple[str, Scores]]) -> Way:
    """What there is to see of one photograph; see :func:`draw_way`."""
    rgb_u8 = evaluation.photo(image)
    return Way(rgb_u8, _heats(evaluation, image), _labels(evaluation, image, rgb_u8, steps))


def _heats(evaluation: Evaluation, image: ImageRecord) -> dict[str, NDArray[np.float32]]:
    artifacts, method, size = evaluation.artifacts, evaluation.method, image.seen
    cams = load_record_of(artifacts.arrays("cams", method.variant.name, image.id), Cams, image)
    names = [evaluation.index.class_names[one] for one in cams.class_ids]
    heats = {f"CAM: {name}": cam for name, cam in zip(names, resize_maps(cams.finest, size))}
    if method.propagation.reads_affinity:
        affinity = load_record_of(artifacts.arrays("affinity", method.variant.name, image.id), Affinity, image)
        if affinity.boundary.any():
            maps = affinity.boundary[None].astype(np.float32)
            grid = Grid((maps.shape[1], maps.shape[2]), size, int(affinity.stride))
            heats["boundary"] = resize_maps(grid.covering(maps), size)[0]
    return heats


def _labels(
    evaluation: Evaluation, image: ImageRecord, rgb_u8: NDArray[np.uint8], steps: Sequence[tuple[str, Scores]]
) -> dict[str, NDArray[np.uint8]]:
    size, method = image.seen, evaluation.method
    labels: dict[str, NDArray[np.uint8]] = {}
    _, last = steps[-1]
    if method.propagation.partial_labels_used:
        a_pixel = 1 / int(last.stride) if last.stride else 0  # of the cells that are labelled
        labels["partial labels"] = at_cells(last.partial_labels, size, a_pixel)
    for caption, scores in steps:
        maps, logarithmic = _over_photograph(scores, size), bool(scores.logarithmic)
        labels[caption] = upsample_labels(scores.class_ids, maps, size, logarithmic)
    labels["after CRF"] = method.crf.labels(
        last.class_ids, _over_photograph(last, size), rgb_u8, bool(last.logarithmic), size
    )
    if evaluation.artifacts.checkpoint("segtrain", method.name).is_file():
        network, _ = find_network(evaluation, [image])
        found = segmenter(evaluation, network, evaluation.folder, refined=True).compute(image)
        labels["segmentation network"] = at_cells(found, size)
    truth = evaluation.truth(image)
    return labels if truth is None else labels | {"ground truth": at_cells(truth, size)}


def _over_photograph(scores: Scores, size: tuple[int, int]) -> NDArray[np.float32]:
    return covering_scores(scores.scores, size, int(scores.stride), bool(scores.logarithmic))
