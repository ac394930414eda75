"""Resizing between the grid and the pixels."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wsgcn.ops import resize
from wsgcn.ops.resize import downscale_rgb, enlarge_scores, grid_size, resize_maps, resized, upsample_labels

SIDE = st.integers(1, 12)


@pytest.mark.parametrize(
    ("height", "width", "stride", "expected"),
    [(375, 500, 4, (94, 125)), (8, 8, 8, (1, 1)), (9, 8, 8, (2, 1)), (1, 1, 4, (1, 1)), (5, 7, 1, (5, 7))],
)
def test_grid_size_rounds_up(height, width, stride, expected):
    assert grid_size(height, width, stride) == expected


@given(SIDE, SIDE, SIDE, SIDE, st.integers(0, 99))
def test_maps_stay_within_their_range(h, w, height, width, seed):
    maps = np.random.default_rng(seed).normal(size=(3, h, w)).astype(np.float32)
    found = resize_maps(maps, (height, width))
    assert found.shape == (3, height, width)
    assert found.dtype == np.float32
    slack = 1e-5 * np.abs(maps).max()
    assert (found.min(axis=(1, 2)) >= maps.min(axis=(1, 2)) - slack).all()
    assert (found.max(axis=(1, 2)) <= maps.max(axis=(1, 2)) + slack).all()


@given(SIDE, SIDE, SIDE, SIDE, st.integers(0, 99))
def test_probabilities_still_sum_to_one(h, w, height, width, seed):
    probs = np.random.default_rng(seed).dirichlet(np.ones(4), (h, w)).transpose(2, 0, 1).astype(np.float32)
    np.testing.assert_allclose(resize_maps(probs, (height, width)).sum(axis=0), 1, atol=1e-5)


@given(SIDE, SIDE, SIDE, SIDE, st.floats(-4, 4, width=32))
def test_constant_map_stays_constant(h, w, height, width, value):
    maps = np.full((1, h, w), value, dtype=np.float32)
    np.testing.assert_allclose(resize_maps(maps, (height, width)), value, rtol=1e-6)


@pytest.mark.parametrize(
    ("given", "manner", "expected"),
    [
        ([0, 1], {}, [0, 0.25, 0.75, 1]),
        ([0, 3], {"align_corners": True}, [0, 1, 2, 3]),
        ([0, 0, 0, 0, 8, 8, 8, 8], {}, [0, 0, 8, 8]),
        ([0, 0, 8, 0, 0, 0, 0, 0], {}, [0, 4, 0, 0]),
        ([0, 0, 8, 0, 0, 0, 0, 0], {"antialias": True}, [8 / 7, 3, 0, 0]),
    ],
    ids=str,
)
def test_maps_of_a_network_are_resized_in_three_manners(given, manner, expected):
    maps = torch.tensor(given, dtype=torch.float32).reshape(1, 1, 1, -1).requires_grad_()
    found = resized(maps, (1, 4), **manner)
    np.testing.assert_allclose(found.detach().flatten(), expected, atol=1e-6)
    found.sum().backward()
    assert maps.grad is not None


def test_same_size_is_the_same():
    maps = np.random.default_rng(0).random((2, 5, 7), dtype=np.float32)
    np.testing.assert_array_equal(resize_maps(maps, (5, 7)), maps)


def test_half_pixel_centres():
    maps = np.array([[[0.0, 1.0]]], dtype=np.float32)
    np.testing.assert_allclose(resize_maps(maps, (1, 4)), [[[0, 0.25, 0.75, 1]]])


def test_mirrored_maps_give_mirrored_results():
    maps = np.random.default_rng(1).random((2, 4, 6), dtype=np.float32)
    flipped = resize_maps(maps[:, :, ::-1], (9, 13))[:, :, ::-1]
    np.testing.assert_allclose(flipped, resize_maps(maps, (9, 13)), atol=1e-6)


def test_other_types_become_float32():
    assert resize_maps(np.ones((1, 2, 2), dtype=np.float16), (3, 3)).dtype == np.float32


def test_photograph_of_the_right_size_is_the_same():
    rgb = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    np.testing.assert_array_equal(downscale_rgb(rgb, (4, 6)), rgb)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (8, 10)])
def test_downscaled_photograph_keeps_type_and_colour(size):
    rgb = np.full((9, 20, 3), (10, 200, 255), dtype=np.uint8)
    small = downscale_rgb(rgb, size)
    assert small.dtype == np.uint8
    np.testing.assert_array_equal(small, np.broadcast_to(rgb[0, 0], (*size, 3)))


def test_downscaling_smooths():
    stripes = np.zeros((8, 64, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    small = downscale_rgb(stripes, (1, 8))
    assert (np.abs(small.astype(int) - 127) < 20).all()


def _enlarged_slowly(scores, size):
    """Pixel by pixel: a weighted geometric mean of four cells, corner cells at the corner pixels."""
    _, height, width = scores.shape
    result = np.zeros((len(scores), *size))
    for y, x in np.ndindex(*size):
        row = y * (height - 1) / max(size[0] - 1, 1)
        column = x * (width - 1) / max(size[1] - 1, 1)
        top, left = min(int(row), max(height - 2, 0)), min(int(column), max(width - 2, 0))
        logs = np.zeros(len(scores))
        for i in range(top, min(top + 2, height)):
            for j in range(left, min(left + 2, width)):
                logs += max(1 - abs(row - i), 0) * max(1 - abs(column - j), 0) * np.log(scores[:, i, j])
        result[:, y, x] = np.exp(logs)
    return result


@pytest.mark.parametrize(("grid", "size"), [((3, 4), (9, 13)), ((3, 4), (3, 4)), ((1, 5), (4, 17)), ((4, 1), (9, 1))])
def test_logarithms_are_enlarged_with_aligned_corners(grid, size):
    probs = np.random.default_rng(0).dirichlet(np.ones(3), grid).transpose(2, 0, 1).astype(np.float32)
    found = enlarge_scores(probs, size, True)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, _enlarged_slowly(probs.astype(np.float64), size), rtol=1e-4)
    np.testing.assert_array_equal(enlarge_scores(probs, size, False), resize_maps(probs, size))


def test_logarithms_of_nothing_stay_finite_and_the_other_class_wins():
    scores = np.array([[[1.0, 0.0]], [[0.0, 1.0]]], dtype=np.float32)
    assert np.isfinite(enlarge_scores(scores, (1, 8), True)).all()
    assert upsample_labels(np.array([0, 4]), scores, (1, 8), True).tolist() == [[0, 0, 0, 0, 4, 4, 4, 4]]


def test_logarithms_favour_what_no_neighbour_rules_out():
    """At the cells' middle 0.9 and 0.002 have a geometric mean of 0.04, 0.05 and 0.2 one of 0.1."""
    scores = np.array([[[0.9, 0.002]], [[0.05, 0.2]]], dtype=np.float32)
    labels = [upsample_labels(np.array([0, 4]), scores, (1, 3), one)[0, 1] for one in (False, True)]
    assert labels == [0, 4]


@pytest.mark.parametrize("logarithmic", [False, True])
@pytest.mark.parametrize(("grid", "size"), [((7, 9), (61, 83)), ((3, 1), (50, 40)), ((20, 30), (7, 9))])
def test_labels_made_in_strips_are_those_made_at_once(monkeypatch, grid, size, logarithmic):
    scores = np.random.default_rng(1).random((4, *grid), dtype=np.float32)
    class_ids = np.array([0, 3, 7, 20])
    whole = upsample_labels(class_ids, scores, size, logarithmic)
    monkeypatch.setattr(resize, "STRIP", 4 * size[1] * 3)
    in_strips = upsample_labels(class_ids, scores, size, logarithmic)
    assert in_strips.dtype == np.uint8
    assert (in_strips != whole).mean() < 0.001  # two scores may be equal but for rounding
