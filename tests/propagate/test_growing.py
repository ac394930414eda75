"""Region growing on CAMs: seeds, probabilities and what follows, beside the rules cell by cell."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.reference.dsrg import grown_by_flooding
from wsgcn.ops.densecrf import dense_crf
from wsgcn.ops.grid import Grid
from wsgcn.propagate.base import PropagationInput
from wsgcn.propagate.growing import cam_probs, cam_seeds, grown_scores, pixels_a_cell, seed_scores

CELLS, SIZE = (12, 15), (48, 60)
IDS = np.array([0, 3, 7])
CRF = SimpleNamespace(
    iterations=3, gaussian_sxy=2, gaussian_compat=3, bilateral_sxy=20, bilateral_srgb=13, bilateral_compat=10
)
WEAK_CRF = SimpleNamespace(**vars(CRF) | {"iterations": 1, "bilateral_compat": 2})
NO_CRF = SimpleNamespace(iterations=0)


def _params(**others):
    seeds = SimpleNamespace(foreground=0.6, background=0.1, saliency=None)
    growth = SimpleNamespace(foreground=0.85, background=0.99)
    return SimpleNamespace(**{"seeds": seeds, "alpha": 4, "crf": CRF, "growth": growth} | others)


@pytest.fixture
def photograph():
    """Two objects of a colour of their own; the CAM of each has its peak in it and is noise elsewhere."""
    random = np.random.default_rng(0)
    inside = np.zeros((2, *CELLS), dtype=bool)
    inside[0, 2:9, 1:6], inside[1, 3:10, 9:14] = True, True
    cams = random.uniform(0, 0.2, (2, *CELLS)) + 0.3 * inside
    cams[0, 4:6, 2:4], cams[1, 5:8, 10:12] = 1, 0.9
    rgb = np.full((*CELLS, 3), 60) + inside[0, ..., None] * (120, 0, 0) + inside[1, ..., None] * (0, 120, 0)
    return PropagationInput(
        class_ids=IDS,
        cams=cams.astype(np.float32),
        source_cams=cams.astype(np.float32),
        grid=Grid(CELLS, SIZE, 0),
        affinity=None,
        rgb_u8=(rgb + random.integers(-4, 5, rgb.shape)).astype(np.uint8),
        seed=0,
        saliency=None,
    )


def test_seeds_are_where_the_cams_are_certain(photograph):
    params = _params().seeds
    seeds = cam_seeds(photograph.cams, params)
    for y, x in np.ndindex(CELLS):
        best = photograph.cams[:, y, x].max()
        expected = 255
        if best > params.foreground:
            expected = 1 + int(photograph.cams[:, y, x].argmax())
        elif best < params.background:
            expected = 0
        assert seeds[y, x] == expected
    assert set(np.unique(seeds)) == {0, 1, 2, 255}


def test_background_seeds_are_where_nothing_stands_out_if_saliency_is_given(photograph):
    saliency = np.random.default_rng(1).random(CELLS).astype(np.float32)
    params = SimpleNamespace(foreground=0.6, background=0.1, saliency=SimpleNamespace(threshold=0.3))
    by_cams, seeds = cam_seeds(photograph.cams, _params().seeds), cam_seeds(photograph.cams, params, saliency)
    for y, x in np.ndindex(CELLS):
        known = by_cams[y, x] not in (0, 255)
        assert seeds[y, x] == (by_cams[y, x] if known else 0 if saliency[y, x] < 0.3 else 255)
    assert (saliency[(by_cams != 0) & (by_cams != 255)] < 0.3).any()
    all_params = _params(seeds=params)
    found = grown_scores(replace(photograph, saliency=saliency), all_params)
    assert (found.partial_labels != grown_scores(photograph, _params()).partial_labels).any()
    np.testing.assert_array_equal(
        seed_scores(replace(photograph, saliency=saliency), all_params).partial_labels != 255, seeds != 255
    )


def test_scores_are_certain_where_regions_grew_and_the_cams_elsewhere(photograph):
    params = _params(crf=WEAK_CRF)
    found = grown_scores(photograph, params)
    probs = cam_probs(photograph.cams, params.alpha)
    refined = dense_crf(probs, photograph.rgb_u8, WEAK_CRF, 4)
    labels = grown_by_flooding(cam_seeds(photograph.cams, params.seeds), refined, 0.85, 0.99)
    assert {0, 1, 2, 255} == set(np.unique(labels))
    for y, x in np.ndindex(CELLS):
        label = labels[y, x]
        expected = probs[:, y, x] if label == 255 else np.arange(3) == label
        np.testing.assert_array_equal(found.scores[:, y, x], expected)
        assert found.partial_labels[y, x] == (255 if label == 255 else IDS[label])
    assert found.scores.dtype == np.float32
    np.testing.assert_allclose(found.scores.sum(axis=0), 1, atol=1e-6)


def test_objects_are_covered_that_the_seeds_only_touch(photograph):
    params = _params()
    before, after = seed_scores(photograph, params).partial_labels, grown_scores(photograph, params).partial_labels
    for rows, columns, class_id in ((slice(2, 9), slice(1, 6), 3), (slice(3, 10), slice(9, 14), 7)):
        object_before, object_after = before[rows, columns] == class_id, after[rows, columns] == class_id
        assert object_before.mean() < 0.25
        assert object_after.mean() > 0.9
    assert (after[before != 255] == before[before != 255]).all()


def test_without_probable_cells_only_the_seeds_are_labelled(photograph):
    params = _params(crf=NO_CRF, growth=SimpleNamespace(foreground=1, background=1))
    np.testing.assert_array_equal(
        grown_scores(photograph, params).partial_labels, seed_scores(photograph, params).partial_labels
    )


def test_nothing_activated_is_background(photograph):
    found = grown_scores(replace(photograph, cams=np.zeros_like(photograph.cams)), _params())
    assert (found.partial_labels == 0).all()
    assert (found.scores[0] == 1).all()


@pytest.mark.parametrize(
    ("cells", "size", "stride", "pixels"),
    [((94, 125), (375, 500), 0, 4), ((94, 125), (375, 500), 4, 4), ((48, 60), (48, 60), 0, 1), ((9, 9), (6, 6), 0, 1)],
)
def test_pixels_a_cell(cells, size, stride, pixels):
    assert pixels_a_cell(Grid(cells, size, stride)) == pixels
