"""The place of a grid on a photograph."""

import numpy as np
import pytest

from wsgcn.ops.grid import Grid
from wsgcn.ops.resize import downscale_rgb, grid_size, resize_maps

SIZES = [(16, 24), (17, 23), (13, 9), (1, 1)]


def whole(size, stride):
    return Grid(grid_size(*size, stride), size, stride)


def random_maps(*shape):
    return np.random.default_rng(0).random(shape, dtype=np.float32)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stride", [4, 8])
def test_each_cell_has_the_mean_of_its_pixels_with_0_beyond_the_photograph(size, stride):
    grid, maps = whole(size, stride), random_maps(2, *size)
    expected = np.zeros((2, *grid.cells))
    for row, column in np.ndindex(*size):
        expected[:, row // stride, column // stride] += maps[:, row, column] / stride**2
    pooled = grid.pooled(maps)
    assert pooled.dtype == np.float32
    np.testing.assert_allclose(pooled, expected, atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stride", [4, 8])
def test_the_border_goes_on_under_cells_that_jut_out_where_wanted(size, stride):
    grid, maps = whole(size, stride), random_maps(2, *size)
    rows, columns = (np.arange(side).clip(max=last - 1) for side, last in zip(grid.covered, size))
    filled = maps[:, rows][:, :, columns]
    expected = np.zeros((2, *grid.cells))
    for row, column in np.ndindex(*grid.covered):
        expected[:, row // stride, column // stride] += filled[:, row, column] / stride**2
    np.testing.assert_allclose(grid.pooled(maps, "edge"), expected, atol=1e-6)
    np.testing.assert_array_equal(grid.pooled(np.ones((1, *size), np.float32), "edge"), 1)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stride", [4, 8])
def test_a_pixel_is_interpolated_from_the_cells_around_it(size, stride):
    """Half-pixel centres: pixel y lies at (y + 1/2) / stride - 1/2 among the cells."""
    grid = whole(size, stride)
    maps = random_maps(2, *grid.cells)
    found = grid.covering(maps)
    assert found.shape == (2, *size)
    for pixel in np.ndindex(*size):
        places = [min(max((at + 0.5) / stride - 0.5, 0), cells - 1) for at, cells in zip(pixel, grid.cells)]
        low = [int(at) for at in places]
        high = [min(at + 1, cells - 1) for at, cells in zip(low, grid.cells)]
        down, right = (at - first for at, first in zip(places, low))
        rows = (1 - down) * maps[:, low[0]] + down * maps[:, high[0]]
        expected = (1 - right) * rows[:, low[1]] + right * rows[:, high[1]]
        np.testing.assert_allclose(found[:, *pixel], expected, atol=1e-5)


def test_a_stretched_grid_covers_the_photograph_as_it_is():
    grid, maps = Grid((3, 4), (11, 15), 0), random_maps(2, 3, 4)
    assert grid.covered == (11, 15)
    assert grid.covering(maps) is maps
    np.testing.assert_array_equal(grid.pooled(random_maps(2, 11, 15)), resize_maps(random_maps(2, 11, 15), (3, 4)))
    rgb_u8 = np.random.default_rng(0).integers(0, 256, (11, 15, 3), dtype=np.uint8)
    np.testing.assert_array_equal(grid.colours(rgb_u8), downscale_rgb(rgb_u8, (3, 4)))


def test_maps_of_another_size_than_the_photographs_are_resized():
    grid = whole((17, 23), 8)
    np.testing.assert_array_equal(grid.pooled(random_maps(2, 3, 3)), random_maps(2, 3, 3))
    np.testing.assert_array_equal(grid.pooled(random_maps(2, 5, 6)), resize_maps(random_maps(2, 5, 6), (3, 3)))


def test_colours_of_a_cell_are_those_of_its_pixels_and_the_border_goes_on():
    rgb_u8 = np.zeros((12, 13, 3), np.uint8)
    rgb_u8[:, 12:] = 200  # the only pixels of the last column of cells
    assert whole((12, 13), 4).colours(rgb_u8)[:, 3].tolist() == [[171] * 3] * 3  # 200 x 3 / 3.5, weights of a triangle
    assert Grid((3, 4), (12, 13), 0).colours(rgb_u8)[0, 3, 0] < 100
