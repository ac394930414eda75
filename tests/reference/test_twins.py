"""The slow twins themselves, against numbers worked out by hand and against torch_geometric."""

import math

import numpy as np
import pytest
import torch
from torch_geometric.nn import GCNConv
from torch_geometric.utils import dense_to_sparse

from tests.reference import affinity, propagate


def test_path_is_the_band_around_the_line():
    assert affinity.path_cells((1, 1), (1, 4)) == [(1, 1), (1, 2), (1, 3), (1, 4)]
    assert affinity.path_cells((0, 0), (1, 1)) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert set(affinity.path_cells((0, 0), (3, 3))) == {(y, x) for y in range(4) for x in range(4) if abs(y - x) < 2}
    assert affinity.path_cells((4, 2), (2, 2)) == [(2, 2), (3, 2), (4, 2)]


def test_boundary_affinity_by_hand():
    dense = affinity.boundary_affinity_dense(np.array([[0.0, 0.6, 0.1, 0.2]]), 3)
    expected = [[1, 0.4, 0.4, 0], [0.4, 1, 0.4, 0.4], [0.4, 0.4, 1, 0.8], [0, 0.4, 0.8, 1]]
    np.testing.assert_allclose(dense, expected, atol=1e-15)


def test_radius_is_exclusive_and_round():
    dense = affinity.boundary_affinity_dense(np.zeros((5, 5)), 2)
    assert (dense[12].reshape(5, 5) == [[0] * 5, [0, 1, 1, 1, 0], [0, 1, 1, 1, 0], [0, 1, 1, 1, 0], [0] * 5]).all()
    assert affinity.boundary_affinity_dense(np.zeros((9, 9)), 5)[40].sum() == 69


def test_feature_affinity_by_hand():
    dense = affinity.feature_affinity_dense(np.array([[[0.0, 1.0]], [[2.0, -1.0]]]), 5)
    np.testing.assert_allclose(dense, [[1, math.exp(-2)], [math.exp(-2), 1]])


def test_walk_of_two_cells_by_hand():
    walk = propagate.walk_operator_dense(np.array([[1, 0.5], [0.5, 1]]), 2)
    np.testing.assert_allclose(walk, [[0.8, 0.2], [0.2, 0.8]])
    two_steps = propagate.random_walk_dense(np.array([[[1.0, 0.0]]]), walk, 1)
    np.testing.assert_allclose(two_steps, [[[0.68, 0.32]]])


@pytest.mark.parametrize(("kind", "first"), [("none", [2, 0.5]), ("row", [0.8, 0.2]), ("symmetric", [0.8, 0.2])])
def test_normalisation_by_hand(kind, first):
    np.testing.assert_allclose(propagate.normalise_dense(np.array([[1, 0.5], [0.5, 1]]), kind)[0], first)


def test_symmetric_normalisation_is_symmetric_and_row_sums_to_one():
    graph = affinity.boundary_affinity_dense(np.random.default_rng(0).random((3, 4)), 3)
    symmetric, row = (propagate.normalise_dense(graph, kind) for kind in ("symmetric", "row"))
    np.testing.assert_allclose(symmetric, symmetric.T)
    np.testing.assert_allclose(row.sum(axis=1), 1)


def test_forward_equals_two_layers_of_torch_geometric():
    random = torch.Generator().manual_seed(0)
    affinities = affinity.boundary_affinity_dense(np.random.default_rng(0).random((3, 4)), 3)
    graph = torch.from_numpy(propagate.normalise_dense(affinities, "row"))
    features = torch.randn(12, 7, dtype=torch.float64, generator=random)
    w1 = torch.randn(7, 16, dtype=torch.float64, generator=random)
    w2 = torch.randn(16, 3, dtype=torch.float64, generator=random)
    layers = [GCNConv(*w.shape, normalize=False, bias=False).double() for w in (w1, w2)]
    for layer, weight in zip(layers, (w1, w2)):
        layer.lin.weight.data = weight.T.clone()
    edges, weights = dense_to_sparse(graph.T)  # torch_geometric sums over sources: an edge (j, i) carries Ã_ij
    expected = layers[1](layers[0](features, edges, weights).relu(), edges, weights)
    logits, probs = propagate.gcn_forward_dense(graph, features, w1, w2)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(probs.sum(dim=1), torch.ones(12, dtype=torch.float64))


def test_colour_affinity_by_hand():
    rgb = np.array([[[0, 0, 0], [3, 0, 0], [0, 0, 0], [0, 0, 0]]], dtype=np.uint8)
    dense = propagate.colour_affinity_dense(rgb, 6, 200, 255, 5)
    np.testing.assert_allclose(dense[0], [0, math.exp(-9 / 6 - 1 / 200), math.exp(-4 / 200), 0])
    np.testing.assert_allclose(dense, dense.T)


def test_losses_by_hand():
    probs = torch.tensor([[0.5, 0.5], [0.25, 0.75], [0.1, 0.9]], dtype=torch.float64)
    labels = np.array([255, 1, 0])
    phi = np.zeros((3, 3))
    phi[0, 1] = phi[1, 0] = 2
    assert propagate.foreground_loss(probs, labels).item() == pytest.approx(-math.log(0.75))
    assert propagate.background_loss(probs, labels).item() == pytest.approx(-math.log(0.1))
    assert propagate.entropy_loss(probs, labels).item() == pytest.approx(math.log(2))
    assert propagate.entropy_loss(probs, labels, "reference").item() == pytest.approx(math.log(2) / 21)
    assert propagate.laplacian_loss(probs, phi).item() == pytest.approx(2 * 2 * 2 * 0.25**2 / (2 * 3))


def test_empty_sets_contribute_nothing():
    probs = torch.full((2, 2), 0.5, dtype=torch.float64)
    assert propagate.foreground_loss(probs, np.array([0, 255])).item() == 0
    assert propagate.background_loss(probs, np.array([1, 255])).item() == 0
    assert propagate.entropy_loss(probs, np.array([0, 1])).item() == 0


def test_total_is_the_weighted_sum():
    logits = torch.tensor([[0.0, 1.0], [2.0, 0.0], [0.3, 0.2]], dtype=torch.float64)
    labels, phi = np.array([255, 1, 0]), np.ones((3, 3)) - np.eye(3)
    parts = propagate.all_losses(logits, labels, phi)
    total = propagate.total_loss(logits, labels, phi, entropy_weight=10, laplacian_weight=0.01)
    torch.testing.assert_close(total, parts["fg"] + parts["bg"] + 10 * parts["ent"] + 0.01 * parts["lap"])


RULE = {"alpha_high": 32, "min_prob": 0.8, "confident_share": 0.5, "cam_floor": 0.1, "min_background": 0.8}


@pytest.mark.parametrize(
    ("cam", "low", "high", "expected"),
    [
        ([0.9, 0.8, 0.0], [0.9, 0.9, 0.1], [0.9, 0.9, 0.1], [1, 255, 0]),  # the better half of two, and background
        ([0.9, 0.0, 0.0], [0.9, 0.9, 0.1], [0.1, 0.1, 0.1], [255, 0, 0]),  # background overrules; 0.9 is none
        ([0.9, 0.9, 0.0], [0.9, 0.9, 0.1], [0.9, 0.9, 0.1], [1, 1, 0]),  # ties stay
        ([0.9, 0.8, 0.0], [0.7, 0.9, 0.1], [0.7, 0.9, 0.3], [255, 255, 255]),  # too low; second best; too low
        ([0.05, 0.0, 0.0], [0.9, 0.9, 0.9], [0.9, 0.9, 0.9], [255, 255, 255]),  # no region above the floor
    ],
)
def test_partial_labels_by_hand(cam, low, high, expected):
    probs = [np.array([[1 - np.array(one)], [np.array(one)]]).reshape(2, 1, 3) for one in (low, high)]
    labels = propagate.partial_labels_dense(np.array(cam).reshape(1, 1, 3), *probs, **RULE)
    assert labels.tolist() == [expected]
