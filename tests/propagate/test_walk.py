"""The random walk as sparse products equals the dense power."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.propagate.cases import GRIDS, affinities, normal
from tests.reference import propagate as reference
from wsgcn.ops.grid import Grid
from wsgcn.propagate.graph import to_torch, walk_operator
from wsgcn.propagate.walk import background_walk, boundary_walk, random_walk_scores, walk, walk_scores

STRETCHED = Grid((3, 4), (11, 15), 0)


def _operators(grid, beta=2.0, seed=0, precision=np.float64):
    dense, sparse = affinities(grid, seed)
    return reference.walk_operator_dense(dense, beta), to_torch(walk_operator(sparse, beta).astype(precision))


def _scores(classes, grid, seed=0):
    return np.random.default_rng(seed).random((classes, *grid))


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("log2_steps", [0, 1, 3, 8])
@pytest.mark.parametrize("classes", [1, 3])
def test_walk_equals_the_dense_power(grid, log2_steps, classes):
    dense, operator = _operators(grid)
    scores = _scores(classes, grid)
    expected = reference.random_walk_dense(scores, dense, log2_steps)
    np.testing.assert_allclose(walk_scores(scores, operator, log2_steps), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("columns", [1, 15, 16, 17, 40])
def test_every_column_walks_alone(columns):
    dense, operator = _operators((3, 4))
    values = normal(12, columns)
    expected = np.linalg.matrix_power(dense, 5) @ values.numpy()
    np.testing.assert_allclose(walk(operator, values, 5).numpy(), expected, rtol=0, atol=1e-10)


def test_no_step_changes_nothing():
    _, operator = _operators((3, 4))
    values = normal(12, 20)
    before = values.clone()
    assert torch.equal(walk(operator, values, 0), before)
    walk(operator, values, 3)
    assert torch.equal(values, before)


@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 99), st.integers(0, 6), st.floats(0, 1))
def test_constant_map_is_a_fixed_point(height, width, seed, log2_steps, value):
    _, operator = _operators((height, width), 10, seed)
    scores = np.full((1, height, width), value)
    np.testing.assert_allclose(walk_scores(scores, operator, log2_steps), value, rtol=0, atol=1e-12)


@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 99), st.integers(0, 6))
def test_no_score_leaves_the_range_of_its_class(height, width, seed, log2_steps):
    _, operator = _operators((height, width), 10, seed)
    scores = _scores(2, (height, width), seed)
    walked = walk_scores(scores, operator, log2_steps)
    assert (walked.min(axis=(1, 2)) >= scores.min(axis=(1, 2)) - 1e-12).all()
    assert (walked.max(axis=(1, 2)) <= scores.max(axis=(1, 2)) + 1e-12).all()


@pytest.mark.parametrize("axis", [0, 1])
def test_mirrored_picture_gives_mirrored_scores(axis):
    grid, scores = (4, 5), _scores(2, (4, 5))
    order = np.flip(np.arange(20).reshape(grid), axis).ravel()
    sparse = affinities(grid)[1]
    mirrored = to_torch(walk_operator(sparse[order][:, order].tocsr(), 2))
    expected = np.flip(walk_scores(scores, to_torch(walk_operator(sparse, 2)), 4), axis + 1)
    np.testing.assert_allclose(walk_scores(np.flip(scores, axis + 1), mirrored, 4), expected, rtol=0, atol=1e-10)


def test_boundary_walk_is_irnets():
    grid = (3, 4)
    dense, operator = _operators(grid, precision=np.float32)
    cams, boundary = _scores(2, grid).astype(np.float32), _scores(1, grid, 1)[0].astype(np.float32)
    walked = reference.random_walk_dense(cams * (1 - boundary), dense, 3)
    scores = boundary_walk(cams, boundary, operator, 3, 0.25, STRETCHED)
    np.testing.assert_allclose(scores[1:], walked / walked.max(), atol=1e-5)
    assert (scores[0] == 0.25).all()
    assert scores.dtype == np.float32


def test_background_walk_is_psas():
    grid = (3, 4)
    dense, operator = _operators(grid, precision=np.float32)
    cams = _scores(2, grid).astype(np.float32)
    with_background = np.concatenate([[(1 - cams.max(axis=0)) ** 16], cams])
    scores = background_walk(cams, operator, 3, 16, STRETCHED)
    np.testing.assert_allclose(scores, reference.random_walk_dense(with_background, dense, 3), atol=1e-5)


@pytest.mark.parametrize(("background", "alpha"), [(0.25, None), (None, 16)])
def test_nothing_activated_is_background(background, alpha):
    sparse = affinities((3, 4))[1].astype(np.float32)
    numbers = SimpleNamespace(beta=10, log2_steps=4, background=background, alpha=alpha)
    zeros = np.zeros((1, 3, 4), dtype=np.float32)
    scores = random_walk_scores(zeros, zeros[0], sparse, numbers, STRETCHED)
    assert np.isfinite(scores).all()
    assert (scores.argmax(axis=0) == 0).all()
    assert scores.shape == (2, 3, 4)


@pytest.mark.parametrize(("background", "alpha"), [(0.25, None), (None, 16)])
def test_background_is_constant_or_walks_along(background, alpha):
    sparse = affinities((3, 4))[1].astype(np.float32)
    cams, boundary = _scores(2, (3, 4)).astype(np.float32), np.zeros((3, 4), dtype=np.float32)
    numbers = SimpleNamespace(beta=10, log2_steps=4, background=background, alpha=alpha)
    scores = random_walk_scores(cams, boundary, sparse, numbers, STRETCHED)
    operator = to_torch(walk_operator(sparse, 10))
    walks = {
        None: lambda: boundary_walk(cams, boundary, operator, 4, 0.25, STRETCHED),
        16: lambda: background_walk(cams, operator, 4, 16, STRETCHED),
    }
    own = walks[alpha]()
    np.testing.assert_array_equal(scores, own)


def test_psas_walk_starts_from_the_means_of_whole_cells_with_the_background_of_each_pixel():
    """``infer_aff.py``: the power first, then zeros up to whole cells, then the mean of each."""
    cams, grid = _scores(2, (11, 14)).astype(np.float32), Grid((3, 4), (11, 14), 4)
    _, operator = _operators((3, 4), precision=np.float32)
    expected = np.zeros((3, 3, 4))
    for row, column in np.ndindex(11, 14):
        scores = [(1 - cams[:, row, column].max()) ** 16, *cams[:, row, column]]
        expected[:, row // 4, column // 4] += np.array(scores) / 16
    walked = background_walk(cams, operator, 0, 16, grid)
    np.testing.assert_allclose(walked, walk_scores(expected.astype(np.float32), operator, 0), atol=1e-6)


def test_irnets_walk_reaches_1_over_the_pixels_of_the_photograph():
    grid = Grid((3, 4), (9, 13), 4)
    cams = np.zeros((1, 3, 4), dtype=np.float32)
    cams[0, 2, 3] = 1  # of its pixels only those of the corner belong to the photograph
    cams[0, 0, 0] = 0.2
    _, operator = _operators((3, 4), precision=np.float32)
    scores = boundary_walk(cams, np.zeros((3, 4), np.float32), operator, 0, 0.25, grid)
    assert grid.covering(scores)[1].max() == pytest.approx(1)
    assert scores[1].max() > 1.2
    assert (grid.covering(scores)[0] == 0.25).all()
