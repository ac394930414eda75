"""The sparse graphs equal their dense twins."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.propagate.cases import GRIDS, KINDS, RADIUS, affinities, stencil, torch_graph
from tests.reference import propagate as reference
from wsgcn.propagate.graph import adjacency, normalise, to_torch, walk_operator

each_grid = pytest.mark.parametrize("grid", GRIDS)


@each_grid
def test_adjacency_equals_the_dense_matrix(grid):
    dense, sparse = affinities(grid)
    np.testing.assert_array_equal(sparse.toarray(), dense)


def test_weights_outside_the_grid_are_ignored():
    dense, _ = affinities((3, 4))
    offsets, weights = stencil(dense, (3, 4), RADIUS)
    for weight, (dy, dx) in zip(weights, offsets):
        for y, x in np.ndindex(3, 4):
            if not (y + dy < 3 and 0 <= x + dx < 4):
                weight[y, x] = 7
    np.testing.assert_array_equal(adjacency(offsets, weights).toarray(), dense)


def test_offsets_wider_than_the_grid_are_ignored():
    offsets = np.array([[0, 5], [5, 0], [5, -5], [1, -2], [1, 2]])
    np.testing.assert_array_equal(adjacency(offsets, np.ones((5, 2, 2))).toarray(), np.eye(4))


def test_graph_without_neighbours_is_the_identity():
    np.testing.assert_array_equal(adjacency(np.empty((0, 2), int), np.empty((0, 2, 3))).toarray(), np.eye(6))


def test_graph_is_sparse_and_keeps_precision():
    dense, _ = affinities((4, 5))
    offsets, weights = stencil(dense, (4, 5), RADIUS)
    matrix = adjacency(offsets, weights.astype(np.float32))
    assert matrix.dtype == np.float32
    assert matrix.nnz <= 20 * (2 * len(offsets) + 1)
    assert to_torch(matrix).dtype == torch.float32


@each_grid
@pytest.mark.parametrize("beta", [1, 8, 10])
def test_walk_operator_equals_the_dense_one(grid, beta):
    dense, sparse = affinities(grid)
    np.testing.assert_allclose(
        walk_operator(sparse, beta).toarray(), reference.walk_operator_dense(dense, beta), rtol=0, atol=1e-10
    )


@each_grid
@pytest.mark.parametrize("kind", KINDS)
def test_normalisation_equals_the_dense_one(grid, kind):
    dense, sparse = affinities(grid)
    before = sparse.toarray()
    expected = reference.normalise_dense(dense, kind)
    np.testing.assert_allclose(normalise(sparse, kind).toarray(), expected, rtol=0, atol=1e-10)
    np.testing.assert_array_equal(sparse.toarray(), before)


@each_grid
@pytest.mark.parametrize("kind", KINDS)
def test_torch_matrices_are_the_same_and_transposed(grid, kind):
    dense, sparse = affinities(grid)
    expected = reference.normalise_dense(dense, kind)
    matrix, transposed = torch_graph(sparse, kind)
    np.testing.assert_allclose(matrix.to_dense().numpy(), expected, rtol=0, atol=1e-10)
    np.testing.assert_allclose(transposed.to_dense().numpy(), expected.T, rtol=0, atol=1e-10)


@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 999))
def test_graph_is_symmetric_and_within_bounds(height, width, seed):
    _, sparse = affinities((height, width), seed)
    dense = sparse.toarray()
    np.testing.assert_array_equal(dense, dense.T)
    assert ((dense >= 0) & (dense <= 1)).all()
    np.testing.assert_allclose(normalise(sparse, "row").sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(walk_operator(sparse, 10).sum(axis=1), 1, atol=1e-12)
