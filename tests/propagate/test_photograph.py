"""One photograph from CAMs to probabilities: the same for the same seed, mirrored for a mirrored picture."""

import numpy as np
import pytest
import torch

from tests.conftest import changed
from tests.propagate.cases import affinities, normal
from tests.reference import propagate as reference
from wsgcn.propagate.network import initial_weights
from wsgcn.propagate.partial import partial_labels
from wsgcn.propagate.photograph import Photograph, gcn_scores
from wsgcn.runtime.seeds import generator_for

GRID = (6, 7)
EXACT = {
    "propagate.gcn-i.dropout": 0,
    "propagate.gcn-i.partial_labels.crf.iterations": 0,  # the CRF's lattice is not symmetric
    "propagate.gcn-i.partial_labels.min_prob": 0.5,
}


def _inputs():
    random = np.random.default_rng(0)
    cams = np.zeros((2, *GRID), dtype=np.float32)
    cams[0, 1:4, 1:3], cams[1, 2:5, 4:6] = random.uniform(0.6, 1, (3, 2)), random.uniform(0.6, 1, (3, 2))
    features = normal(5, *GRID).float().numpy()
    rgb = random.integers(90, 110, (*GRID, 3), dtype=np.uint8)
    boundary = random.random(GRID, dtype=np.float32)
    return cams, boundary, features, affinities(GRID)[1].astype(np.float32), rgb


def _run(inputs, params, name="a"):
    photograph = Photograph(*inputs, generator_for(42, name))
    (result,) = gcn_scores([photograph], params.propagate["gcn-i"], torch.device("cpu"))
    return result.probs, result.labels, result.losses


def test_same_seed_and_id_give_the_same_bits(tiny_params):
    one, again, other = (_run(_inputs(), tiny_params, name) for name in "aab")
    assert all((a == b).all() for a, b in zip(one, again))
    assert (one[1] == other[1]).all()
    assert (one[0] != other[0]).any()


@pytest.mark.parametrize("normalisation", ["row", "symmetric", "none"])
@pytest.mark.parametrize("objective", ["paper", "reference"])
def test_shapes_and_probabilities(tiny_params, objective, normalisation):
    values = {"propagate.gcn-i.objective": objective, "propagate.gcn-i.normalisation": normalisation}
    probs, labels, losses = _run(_inputs(), changed(tiny_params, values))
    assert probs.shape == (3, *GRID)
    assert labels.shape == GRID
    assert losses.shape == (5, 5)
    assert (probs.dtype, labels.dtype, losses.dtype) == (np.float32, np.uint8, np.float32)
    np.testing.assert_allclose(probs.sum(axis=0), 1, atol=1e-5)
    assert np.isfinite(losses).all()
    assert set(np.unique(labels)) <= {0, 1, 2, 255}


@pytest.mark.parametrize("axis", [0, 1])
def test_mirrored_picture_gives_mirrored_probabilities(tiny_params, axis):
    params = changed(tiny_params, EXACT)
    cams, boundary, features, graph, rgb = _inputs()
    order = np.flip(np.arange(graph.shape[0]).reshape(GRID), axis).ravel()
    mirrored = (
        np.flip(cams, axis + 1),
        np.flip(boundary, axis),
        np.flip(features, axis + 1),
        graph[order][:, order].tocsr(),
        np.flip(rgb, axis).copy(),
    )
    probs, labels, losses = _run((cams, boundary, features, graph, rgb), params)
    flipped_probs, flipped_labels, flipped_losses = _run(mirrored, params)
    np.testing.assert_array_equal(flipped_labels, np.flip(labels, axis))
    np.testing.assert_allclose(flipped_probs, np.flip(probs, axis + 1), atol=1e-4)
    np.testing.assert_allclose(flipped_losses, losses, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("power", [1, 8])
def test_first_losses_equal_the_dense_twins(tiny_params, power):
    params = changed(tiny_params, EXACT | {"propagate.gcn-i.affinity_power": power})
    numbers = params.propagate["gcn-i"]
    cams, boundary, features, graph, rgb = _inputs()
    _, labels, losses = _run((cams, boundary, features, graph, rgb), params)
    generator = generator_for(42, "a")
    weights = [
        initial_weights(rows, columns, generator, normal(1).dtype)
        for rows, columns in ((5, numbers.hidden), (numbers.hidden, 3), (1, numbers.hidden), (1, 3))
    ]
    dense = graph.toarray()
    transition = np.linalg.matrix_power(reference.walk_operator_dense(dense, 10), numbers.feature_steps)
    nodes = normal(1).new_tensor(transition @ features.reshape(5, -1).T.astype(np.float64))
    extended = normal(1).new_tensor(reference.normalise_dense(dense**power, numbers.normalisation))
    logits, _ = reference.gcn_forward_dense(extended, nodes, *weights)
    colours = (numbers.colour_variance, numbers.distance_variance, numbers.colour_scale, numbers.window)
    phi = reference.colour_affinity_dense(rgb, *colours)
    parts = reference.all_losses(logits, labels.ravel(), phi, numbers.objective)
    np.testing.assert_allclose(losses[0, 1:], [value.item() for value in parts.values()], rtol=1e-4)


def test_empty_cams_and_single_cell_grid(tiny_params):
    _, _, features, _, _ = _inputs()
    graph = affinities((1, 1))[1].astype(np.float32)
    zeros = np.zeros((1, 1, 1), np.float32)
    cell = (zeros, zeros[0], features[:, :1, :1], graph, np.zeros((1, 1, 3), np.uint8))
    probs, labels, losses = _run(cell, tiny_params)
    assert probs.shape == (2, 1, 1)
    assert labels.tolist() == [[0]]
    assert np.isfinite(losses).all()


def test_partial_labels_of_the_walk_are_those_of_walked_cams(tiny_params):
    source = {"propagate.gcn-i.partial_labels.scores": "walk", "propagate.gcn-i.partial_labels.cut": 0.25}
    params = changed(tiny_params, EXACT | source)
    cams, boundary, features, graph, rgb = _inputs()
    numbers = params.propagate["gcn-i"]
    dense = reference.walk_operator_dense(graph.toarray(), numbers.walk.beta)
    walked = reference.random_walk_dense(cams * (1 - boundary), dense, numbers.walk.log2_steps)
    above = np.clip(walked / walked.max() - 0.25, 0, None) / 0.75
    expected = partial_labels(above.astype(np.float32), rgb, numbers.partial_labels)
    _, of_walk, _ = _run((cams, boundary, features, graph, rgb), params)
    _, of_cams, _ = _run((cams, boundary, features, graph, rgb), changed(tiny_params, EXACT))
    np.testing.assert_array_equal(of_walk, expected)
    assert (of_walk != of_cams).any()
