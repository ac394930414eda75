"""Resizing between the grid and the pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgcn.ops.resize import downscale_rgb, grid_size, resize_maps

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
    resized = resize_maps(maps, (height, width))
    assert resized.shape == (3, height, width)
    assert resized.dtype == np.float32
    slack = 1e-5 * np.abs(maps).max()
    assert (resized.min(axis=(1, 2)) >= maps.min(axis=(1, 2)) - slack).all()
    assert (resized.max(axis=(1, 2)) <= maps.max(axis=(1, 2)) + slack).all()


@given(SIDE, SIDE, SIDE, SIDE, st.integers(0, 99))
def test_probabilities_still_sum_to_one(h, w, height, width, seed):
    probs = np.random.default_rng(seed).dirichlet(np.ones(4), (h, w)).transpose(2, 0, 1).astype(np.float32)
    np.testing.assert_allclose(resize_maps(probs, (height, width)).sum(axis=0), 1, atol=1e-5)


@given(SIDE, SIDE, SIDE, SIDE, st.floats(-4, 4, width=32))
def test_constant_map_stays_constant(h, w, height, width, value):
    maps = np.full((1, h, w), value, dtype=np.float32)
    np.testing.assert_allclose(resize_maps(maps, (height, width)), value, rtol=1e-6)


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
