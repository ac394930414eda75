"""PAMR equals its slow twin, keeps ranges, and follows colours."""

import numpy as np
import pytest
import torch

from tests.reference import pamr as reference
from wsgcn.ops.pamr import local_affinity, neighbours, pamr


def _random(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("grid", [(1, 1), (1, 6), (5, 7)])
@pytest.mark.parametrize("dilations", [(1,), (1, 2, 4), (3,)])
@pytest.mark.parametrize("iterations", [0, 1, 3])
def test_it_equals_its_twin(grid, dilations, iterations):
    colours, masks = _random(2, 3, *grid), _random(2, 4, *grid, seed=1)
    found = pamr(colours, masks, dilations, iterations)
    for one, expected in zip(found, zip(colours, masks)):
        slow = reference.pamr(expected[0].numpy(), expected[1].numpy(), dilations, iterations)
        np.testing.assert_allclose(one.numpy(), slow, rtol=0, atol=1e-12)


def test_each_cell_has_eight_neighbours_for_each_dilation():
    grid = torch.arange(35.0).view(1, 1, 5, 7)
    near = torch.cat([*neighbours(grid, (1, 2))], dim=1)
    for cell in np.ndindex(5, 7):
        expected = [7 * y + x for y, x in reference.around(cell, (5, 7), (1, 2))]
        assert sorted(near[0, :, *cell].tolist()) == sorted(expected)


def test_weights_of_one_colour_are_equal_and_sum_to_one():
    affinity = local_affinity(torch.full((1, 3, 4, 4), 0.3), (1, 2))
    assert affinity.shape == (1, 16, 4, 4)
    torch.testing.assert_close(affinity, torch.full_like(affinity, 1 / 16))


def test_a_mask_fills_its_side_of_an_edge_and_stays_there():
    colours = torch.zeros(1, 3, 12, 12)
    colours[..., 6:] = 1
    masks = torch.zeros(1, 2, 12, 12)
    masks[:, 1, :, 3:6] = 1
    masks[:, 0] = 1 - masks[:, 1]
    refined = pamr(colours, masks, (1, 2), 10)
    assert refined[0, 1, :, 0].min() > 0.2
    assert refined[0, 1, :, 6:].max() < 0.02
    torch.testing.assert_close(refined.sum(1), torch.ones(1, 12, 12))
    assert 0 <= refined.min() <= refined.max() <= 1 + 1e-6


def test_masks_of_a_batch_do_not_mix_and_the_given_ones_stay():
    colours, masks = _random(2, 3, 5, 6), _random(2, 2, 5, 6, seed=1)
    before = masks.clone()
    both = pamr(colours, masks, (1, 2), 2)
    assert torch.equal(masks, before)
    torch.testing.assert_close(both[1:], pamr(colours[1:], masks[1:], (1, 2), 2), rtol=0, atol=0)
