"""The affinities of IRNet and PSA, and the loss that teaches them, equal their dense twins."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.propagate.cases import GRIDS
from tests.reference import affinity as reference
from wsgcn.affinity.pairs import (
    boundary_affinity,
    displacement_loss,
    feature_affinity,
    pair_counts,
    pair_loss,
    path_cells,
    stencil_weights,
)
from wsgcn.ops.stencil import half_disc
from wsgcn.propagate.graph import adjacency

KERNELS = {
    "boundary": (boundary_affinity, lambda maps, radius: reference.boundary_affinity_dense(maps[0], radius), 1),
    "features": (feature_affinity, reference.feature_affinity_dense, 6),
}
each_kernel = pytest.mark.parametrize("kernel", KERNELS)


def _maps(kernel, grid, seed=0):
    return np.random.default_rng(seed).random((KERNELS[kernel][2], *grid))


def _graph(kernel, maps, radius):
    offsets = half_disc(radius)
    weights = stencil_weights(torch.from_numpy(maps.copy())[None], KERNELS[kernel][0], offsets)
    assert weights.shape == (len(offsets), *maps.shape[1:])
    return adjacency(np.array(offsets).reshape(-1, 2), weights.numpy()).toarray()


@pytest.mark.parametrize("offset", [*half_disc(7)])
def test_path_equals_the_twins(offset):
    start = (0, 10)
    shifted = [(start[0] + y, start[1] + x) for y, x in path_cells(*offset)]
    assert shifted == reference.path_cells(start, (offset[0], start[1] + offset[1]))
    assert {(0, 0), offset} <= set(path_cells(*offset))


@each_kernel
@pytest.mark.parametrize("grid", [*GRIDS, (6, 7)])
@pytest.mark.parametrize("radius", [2, 3, 5])
def test_graph_equals_the_dense_twin(kernel, grid, radius):
    maps = _maps(kernel, grid)
    np.testing.assert_allclose(_graph(kernel, maps, radius), KERNELS[kernel][1](maps, radius), rtol=0, atol=1e-10)


@each_kernel
@given(st.integers(1, 5), st.integers(1, 5), st.integers(2, 4), st.integers(0, 999))
def test_graph_is_symmetric_and_within_bounds(kernel, height, width, radius, seed):
    dense = _graph(kernel, _maps(kernel, (height, width), seed), radius)
    np.testing.assert_array_equal(dense, dense.T)
    assert ((dense >= 0) & (dense <= 1)).all()
    assert (np.diag(dense) == 1).all()


@each_kernel
@pytest.mark.parametrize("axis", [0, 1])
def test_mirrored_maps_give_the_mirrored_graph(kernel, axis):
    maps = _maps(kernel, (4, 5))
    order = np.flip(np.arange(20).reshape(4, 5), axis).ravel()
    mirrored = _graph(kernel, np.flip(maps, axis + 1), 4)
    np.testing.assert_allclose(mirrored, _graph(kernel, maps, 4)[order][:, order], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("value", "expected"), [(0.0, 1.0), (1.0, 0.0)])
def test_no_boundary_joins_and_full_boundary_parts(value, expected):
    dense = _graph("boundary", np.full((1, 3, 4), value), 2)
    neighbours = (reference.boundary_affinity_dense(np.zeros((3, 4)), 2) > 0) & ~np.eye(12, dtype=bool)
    assert (dense[neighbours] == expected).all()


def test_a_wall_parts_both_sides():
    boundary = np.zeros((1, 5, 7))
    boundary[:, :, 3] = 0.9
    dense = _graph("boundary", boundary, 5).reshape(5, 7, 5, 7)
    across = dense[:, :3, :, 4:]
    np.testing.assert_allclose(across[across > 0], 0.1, atol=1e-12)
    assert dense[2, 0, 2, 2] == 1


def _labels(kind, grid, seed=0):
    choices = {"mixed": [0, 1, 2, 255], "no foreground": [0, 255], "no background": [1, 2, 255], "ignored": [255]}
    return np.random.default_rng(seed).choice(choices[kind], grid).astype(np.int64)


def _pairs(grid, radius):
    cells = list(np.ndindex(grid))
    near = lambda a, b: 0 < (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 < radius**2  # noqa: E731
    return [(i, j) for i in range(len(cells)) for j in range(i + 1, len(cells)) if near(cells[i], cells[j])]


@each_kernel
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("kind", ["mixed", "no foreground", "no background", "ignored"])
def test_loss_equals_the_double_loop(kernel, grid, kind):
    maps, labels = _maps(kernel, grid), _labels(kind, grid)
    fast = pair_loss(torch.from_numpy(maps)[None], torch.from_numpy(labels)[None], KERNELS[kernel][0], half_disc(3))
    dense = KERNELS[kernel][1](maps, 3)
    assert fast.item() == pytest.approx(
        reference.pair_loss_dense(dense, labels.ravel(), _pairs(grid, 3), 1e-5), abs=1e-10
    )


@each_kernel
def test_a_batch_averages_over_the_pairs_of_all_images(kernel):
    maps, labels = torch.from_numpy(_maps(kernel, (3, 4))), torch.from_numpy(_labels("mixed", (3, 4)))
    one = pair_loss(maps[None], labels[None], KERNELS[kernel][0], half_disc(3))
    two = pair_loss(maps.expand(2, -1, -1, -1), labels.expand(2, -1, -1), KERNELS[kernel][0], half_disc(3))
    half_ignored = pair_loss(
        maps.expand(2, -1, -1, -1),
        torch.stack([labels, torch.full_like(labels, 255)]),
        KERNELS[kernel][0],
        half_disc(3),
    )
    torch.testing.assert_close(torch.stack([two, half_ignored]), torch.stack([one, one]))


@each_kernel
def test_gradcheck_of_the_loss(kernel):
    maps = torch.from_numpy(_maps(kernel, (3, 3)))[None].requires_grad_()
    labels = torch.from_numpy(_labels("mixed", (3, 3)))[None]
    assert torch.autograd.gradcheck(lambda one: pair_loss(one, labels, KERNELS[kernel][0], half_disc(3)), maps)


@pytest.mark.parametrize("value", [0.0, 1.0])
@each_kernel
def test_certain_affinities_stay_finite(kernel, value):
    maps = torch.full((1, KERNELS[kernel][2], 3, 4), value, requires_grad=True)
    loss = pair_loss(maps, torch.from_numpy(_labels("mixed", (3, 4)))[None], KERNELS[kernel][0], half_disc(3))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(maps.grad).all()


# ---------------------------------------------------------------- displacement


@given(st.integers(1, 5), st.integers(1, 5), st.integers(2, 4), st.integers(0, 999))
def test_displacement_loss_equals_its_twin(height, width, radius, seed):
    rng = np.random.default_rng(seed)
    field, labels = rng.normal(size=(2, height, width)), rng.choice([0, 1, 2, 255], (height, width)).astype(np.uint8)
    loss = displacement_loss(torch.from_numpy(field)[None], torch.from_numpy(labels)[None], half_disc(radius))
    assert loss.item() == pytest.approx(reference.displacement_loss(field, labels, radius), abs=1e-10)


def test_field_that_points_to_the_centre_costs_nothing():
    rows, columns = torch.meshgrid(torch.arange(7.0), torch.arange(9.0), indexing="ij")
    field = torch.stack([3 - rows, 4 - columns])[None]
    labels = torch.ones(1, 7, 9, dtype=torch.uint8)
    assert displacement_loss(field, labels, half_disc(4)).item() == pytest.approx(0, abs=1e-6)
    assert displacement_loss(-field, labels, half_disc(4)).item() > 1
    assert displacement_loss(torch.zeros_like(field), 0 * labels, half_disc(4)).item() == 0


@each_kernel
def test_counts_of_pairs_make_the_loss_and_the_recalls(kernel):
    """Of one batch and of its parts alike; the recalls are counted pair by pair."""
    maps = torch.from_numpy(np.random.default_rng(1).random((3, KERNELS[kernel][2], 6, 7))) * 3
    maps = maps.clamp(max=1) if kernel == "boundary" else maps
    labels = torch.from_numpy(np.random.default_rng(2).choice([0, 1, 2, 255], (3, 6, 7)))
    affinity, offsets = KERNELS[kernel][0], half_disc(3)
    counts = sum(pair_counts(maps[one : one + 1], labels[one : one + 1], affinity, offsets) for one in range(3))
    torch.testing.assert_close(counts, pair_counts(maps, labels, affinity, offsets))
    loss = (counts[:, 1] / counts[:, 0] * torch.tensor([0.25, 0.25, 0.5])).sum()
    assert float(loss) == pytest.approx(float(pair_loss(maps, labels, affinity, offsets)))
    right = np.zeros(3)
    for image in range(3):
        for dy, dx in offsets:
            pairs = affinity(maps[image : image + 1], (dy, dx))[0]
            for y in range(6 - dy):
                for x in range(max(0, -dx), 7 - max(0, dx)):
                    first, second = int(labels[image, y, x]), int(labels[image, y + dy, x + dx])
                    if 255 not in (first, second):
                        group = 2 if first != second else int(first != 0)
                        same = float(pairs[y, x - max(0, -dx)]) > 0.5
                        right[group] += same == (group != 2)
    np.testing.assert_array_equal(counts[:, 2].numpy(), right)
