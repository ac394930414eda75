"""Offsets and overlaps of neighbours on a grid."""

import numpy as np
import pytest

from wsgcn.ops.stencil import half_disc, half_square, overlap


@pytest.mark.parametrize(("radius", "neighbours"), [(1, 0), (2, 8), (3, 24), (5, 68)])
def test_disc_holds_each_pair_once(radius, neighbours):
    offsets = half_disc(radius)
    both = {*offsets, *((-dy, -dx) for dy, dx in offsets)}
    expected = {
        (dy, dx)
        for dy in range(-radius, radius + 1)
        for dx in range(-radius, radius + 1)
        if 0 < dy**2 + dx**2 < radius**2
    }
    assert both == expected
    assert len(both) == 2 * len(offsets) == neighbours


@pytest.mark.parametrize("side", [1, 3, 5])
def test_square_holds_each_pair_once(side):
    offsets = half_square(side)
    both = {*offsets, *((-dy, -dx) for dy, dx in offsets)}
    assert len(both) == 2 * len(offsets) == side**2 - 1
    assert all(max(abs(dy), abs(dx)) <= side // 2 for dy, dx in both)


@pytest.mark.parametrize("grid", [(1, 1), (1, 4), (3, 1), (3, 4)])
@pytest.mark.parametrize("offset", [(0, 0), (0, 1), (0, 9), (1, -1), (2, 3), (1, -9), (9, 0)])
def test_overlap_names_every_pair(grid, offset):
    cells = np.arange(grid[0] * grid[1]).reshape(grid)
    here, there = overlap(*offset, *grid)
    pairs = list(zip(cells[here].ravel().tolist(), cells[there].ravel().tolist()))
    moved = {(y, x): (y + offset[0], x + offset[1]) for y, x in np.ndindex(grid)}
    expected = [(cells[one], cells[to]) for one, to in moved.items() if to in moved]
    assert cells[here].shape == cells[there].shape
    assert pairs == expected
