"""Each step of variants I and P on a small photograph: by our functions, and by the scripts of IRNet and PSA.

``golden.json`` holds what the scripts gave, so that ours are compared where these are not. To write it again:

    PUBLIC=DIR python -m tests.parity.steps
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.parity import toy
from wsgcn.affinity import fit
from wsgcn.affinity.affinitynet import FeatureTraining
from wsgcn.affinity.fit import AffinitySample
from wsgcn.affinity.pairs import boundary_affinity, feature_affinity, stencil_weights
from wsgcn.affinity.seeds import affinity_seed_scores, boundary_seeds
from wsgcn.cams.cam import photo_maps
from wsgcn.evaluate.labels import cam_labels
from wsgcn.nets.base import to_input
from wsgcn.ops.grid import Grid
from wsgcn.ops.resize import grid_size, to_class_ids, upsample_labels
from wsgcn.ops.stencil import half_disc
from wsgcn.params import Params, load_params
from wsgcn.propagate.graph import Sparse, adjacency
from wsgcn.propagate.walk import random_walk_scores
from wsgcn.store.records import Cams, SeedScores
from wsgcn.training.augment import View
from wsgcn.vocabulary import PRESET_FOLDER

GOLDEN = Path(__file__).with_name("golden.json")
PARAMS = load_params(PRESET_FOLDER / "voc12.yaml")
SIZE, CLASS_IDS = (37, 50), (3, 12)
IDS = np.array([0, *CLASS_IDS])
CROPS = {"small crop": (24, 1), "large crop": (64, 4), "wide crop": (48, 3)}
"""Side of a crop, and the seed of PSA's random numbers."""


def saved_photo(folder: Path, rgb_u8: np.ndarray) -> Path:
    """A photograph's file."""
    Image.fromarray(rgb_u8).save(folder / "photo.png")
    return folder / "photo.png"


def grid_of(stride: int, size: tuple[int, int] = SIZE) -> Grid:
    """Of whole cells."""
    return Grid(grid_size(*size, stride), size, stride)


def graph_of(maps: np.ndarray, affinity: Callable[..., torch.Tensor]) -> Sparse:
    """The affinity matrix of a boundary, ``(1, h, w)``, or of features."""
    offsets = half_disc(5)
    return adjacency(np.array(offsets), stencil_weights(torch.from_numpy(maps)[None], affinity, offsets).numpy())


def walk_labels(cams: np.ndarray, boundary: np.ndarray, graph: Sparse, entry: str, grid: Grid) -> np.ndarray:
    """Labels of a random walk as stage ``evaluate-labels`` makes them."""
    scores = random_walk_scores(cams, boundary, graph, PARAMS.propagate[entry], grid)
    return upsample_labels(IDS, grid.covering(scores), grid.size)


def psa_sample(
    training: FeatureTraining, seeds: SeedScores, rgb_u8: np.ndarray, crop: int, place: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """What our AffinityNet is shown where PSA's crop lies so."""
    training = training.model_copy(update={"crop": crop, "jitter": None})
    parts, befores = [], []
    for side, first, before in zip(rgb_u8.shape, ("row", "column"), ("top", "left")):
        seen, start = min(side, crop), place.get(first, 0)
        parts.append(range(start, start + seen))
        befores.append(place.get(before, 0))
    if place["mirror"]:  # ours counts columns after mirroring
        width = rgb_u8.shape[1]
        parts[1] = range(width - parts[1].stop, width - parts[1].start)
        befores[1] = crop - befores[1] - len(parts[1])
    size = (rgb_u8.shape[0], rgb_u8.shape[1])
    view = View(crop, size, size, parts[0], parts[1], befores[0], befores[1], mirror=bool(place["mirror"]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "random_view", lambda *_: view)
        photo, labels = AffinitySample(lambda _: (rgb_u8, seeds), training, to_input)("", torch.Generator())
    return photo.numpy(), labels.numpy()


def our_steps(folder: Path, places: dict[str, Any], params: Params = PARAMS) -> dict[str, np.ndarray]:
    """Every step by our functions.

    Args:
        folder: for a file.
        places: where PSA's random crops lie.
        params: numbers of the steps.
    """
    rgb_u8, found = toy.photo(*SIZE), {}
    path = saved_photo(folder, rgb_u8)
    cams, high_res = photo_maps(toy.ToyNet(16), path, CLASS_IDS, params.cams["irnet"].infer, "cpu")
    found["irnet cam"], found["irnet high_res"] = cams, high_res
    record = Cams(np.array(CLASS_IDS), cams, high_res)
    found["irnet cam labels"] = cam_labels(record, params.evaluate.background_of("irnet"), SIZE)
    seeds = boundary_seeds(high_res, rgb_u8, params.affinity["boundary"].train.seeds)
    found["irnet seeds"] = to_class_ids(seeds, IDS)
    grid = grid_of(4)
    boundary = toy.boundary(*grid.cells)
    graph = graph_of(boundary[None], boundary_affinity)
    found["irnet walk"] = walk_labels(cams, boundary, graph, "walk-i", grid)

    cams, _ = photo_maps(toy.ToyNet(8), path, CLASS_IDS, params.cams["psa"].infer, "cpu")
    found["psa cam"] = cams
    found["psa cam labels"] = cam_labels(Cams(np.array(CLASS_IDS), cams), params.evaluate.background_of("psa"), SIZE)
    training = params.affinity["affinitynet"].train
    low, high = affinity_seed_scores(cams, rgb_u8, training.seeds)
    found["psa low"], found["psa high"] = low, high
    seeds = SeedScores(IDS, low.astype(np.float16), high.astype(np.float16))
    for name, (crop, _) in CROPS.items():
        photo, labels = psa_sample(training, seeds, rgb_u8, crop, places[name])
        found[f"psa photo, {name}"], found[f"psa seeds, {name}"] = photo, labels
    grid = grid_of(8)
    graph = graph_of(toy.features(*grid.cells), feature_affinity)
    found["psa walk"] = walk_labels(cams, np.zeros(grid.cells, np.float32), graph, "walk-p", grid)
    return found


def their_steps(public: Path, scratch: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Every step by the scripts of IRNet and PSA, and where PSA's random crops lie."""
    from tests.parity import scripts

    rgb_u8, found, places = toy.photo(*SIZE), {}, {}
    with scripts.public_project(public / "irn", scratch) as caught:
        cams = scripts.irnet_cams(caught, toy.ToyNet(16), rgb_u8, CLASS_IDS)
        assert [int(key) + 1 for key in cams["keys"]] == [*CLASS_IDS]
        found["irnet cam"], found["irnet high_res"] = cams["cam"].numpy(), cams["high_res"]
        scores = np.pad(cams["high_res"], ((1, 0), (0, 0), (0, 0)), constant_values=0.15)
        found["irnet cam labels"] = IDS[scores.argmax(axis=0)]  # step/eval_cam.py
        found["irnet seeds"] = scripts.irnet_labels(caught, cams, rgb_u8)
        found["irnet walk"] = scripts.irnet_walk(caught, toy.boundary(*grid_of(4).cells), cams, rgb_u8)
    with scripts.public_project(public / "psa", scratch) as caught:
        cams = scripts.psa_cams(caught, toy.ToyNet(8), rgb_u8, CLASS_IDS)
        found["psa cam"] = np.stack([*cams["out_cam"].values()])
        found["psa cam labels"] = cams["out_cam_pred"]
        low, high = cams["out_la_crf"], cams["out_ha_crf"]
        found["psa low"], found["psa high"] = (np.stack([*one.values()]) for one in (low, high))
        for name, (crop, seed) in CROPS.items():
            photo, labels, places[name] = scripts.psa_sample(low, high, rgb_u8, crop, seed)
            found[f"psa photo, {name}"], found[f"psa seeds, {name}"] = photo, _ids(labels)
        affinity = graph_of(toy.features(*grid_of(8).cells), feature_affinity).toarray()
        found["psa walk"] = scripts.psa_walk(caught, affinity, cams["out_cam"], rgb_u8)
    return found, places


def _ids(positions: np.ndarray) -> np.ndarray:
    return np.concatenate([IDS, np.full(256 - len(IDS), 255)])[positions]


# ---------------------------------------------------------------- golden values


def thinned(name: str, array: np.ndarray) -> np.ndarray:
    """Of maps of every pixel some; labels and maps of a grid as they are."""
    whole = array.ndim == 2 or max(array.shape[1:]) < 20
    return array if whole else array[:, ::5, ::7]


def write_golden(public: Path, scratch: Path) -> None:
    """Keep what the scripts give."""
    found, places = their_steps(public, scratch)
    values = {name: np.round(thinned(name, one).astype(float), 6).tolist() for name, one in found.items()}
    GOLDEN.write_text(json.dumps({"places": places, "values": values}) + "\n")


def read_golden() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What was kept, and where PSA's random crops lie."""
    content = json.loads(GOLDEN.read_text())
    return {name: np.array(one) for name, one in content["values"].items()}, content["places"]


def difference(name: str, found: np.ndarray, expected: np.ndarray) -> float:
    """Of labels the share that differs, of maps the largest difference."""
    assert found.shape == expected.shape
    labels = any(word in name for word in ("labels", "seeds", "walk"))
    return float((found != expected).mean() if labels else np.abs(found - expected).max())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        write_golden(Path(os.environ["PUBLIC"]).resolve(), Path(made))
