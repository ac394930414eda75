"""The graph of many steps: its products equal the dense twin's, forward, back and in a batch; how far the public is."""

import numpy as np
import pytest
import torch

from tests.conftest import changed
from tests.propagate.cases import GRIDS, KINDS, affinities, labels, made_up_photograph, normal, picture
from tests.propagate.test_network import FEATURES, Numbers, _fit_one, _gcn, _learn_dense, _weights
from tests.reference import propagate as reference
from wsgcn.propagate.batch import collate
from wsgcn.propagate.graph import Sparse, to_torch, walk_operator
from wsgcn.propagate.losses import build_objective, colour_affinity
from wsgcn.propagate.network import Problem, fit
from wsgcn.propagate.photograph import gcn_problem, gcn_scores
from wsgcn.propagate.walked import WalkedGraph, power, power_weights, walked_graph

BETA = 10


def _graph(sparse: Sparse, steps: int, kind: str) -> WalkedGraph:
    return walked_graph(sparse, to_torch(walk_operator(sparse, BETA)), BETA, steps, kind)


def _dense(grid, steps, kind):
    return torch.from_numpy(reference.walked_graph_dense(affinities(grid)[0], BETA, steps, kind))


@pytest.mark.parametrize("steps", [1, 2, 3, 17, 64, 256])
@pytest.mark.parametrize(("precision", "error"), [(torch.float32, 5e-5), (torch.float64, 1e-12)])
def test_power_equals_as_many_products(steps, precision, error):
    operator = walk_operator(affinities((4, 5))[1], BETA)
    values = normal(20, 3)
    expected = torch.from_numpy(np.linalg.matrix_power(operator.toarray(), steps)) @ values
    found = power(to_torch(operator).to(precision), values.to(precision), steps)
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=error)


@pytest.mark.parametrize("steps", [1, 2, 5, 64, 256])
def test_weights_are_those_of_the_monomial_and_few(steps):
    weights = power_weights(steps, 1e-16)
    points = np.linspace(-1, 1, 101)
    np.testing.assert_allclose(np.polynomial.chebyshev.chebval(points, weights), points**steps, rtol=0, atol=1e-13)
    assert len(power_weights(steps, 1e-7)) - 1 <= min(steps, 5.5 * steps**0.5)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [1, 6, 256])
def test_products_equal_the_dense_twins(grid, kind, steps):
    graph, dense, values = (
        _graph(affinities(grid)[1], steps, kind),
        _dense(grid, steps, kind),
        normal(len(_dense(grid, 1, kind)), 4),
    )
    torch.testing.assert_close(graph @ values, dense @ values, rtol=0, atol=1e-10)
    torch.testing.assert_close(graph.transposed() @ values, dense.T @ values, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_the_weights_equal_the_dense_twins(kind):
    graph, dense = _graph(affinities((4, 5))[1], 256, kind), _dense((4, 5), 256, kind)
    features, weights = normal(20, FEATURES), _weights()
    gcn = _gcn((graph, graph.transposed()), *(one.detach() for one in weights))
    propagated = (graph @ features)[None]
    hidden = gcn.hidden(propagated)
    fast = tuple(one[0] for one in gcn.gradients(propagated, hidden, 2 * gcn.logits(hidden)))
    logits, _ = reference.gcn_forward_dense(dense, features, *weights)
    torch.testing.assert_close(fast, torch.autograd.grad((logits**2).sum(), weights), rtol=1e-9, atol=1e-9)


def test_learning_equals_a_dense_loop():
    grid, numbers = (3, 4), Numbers()
    graph, dense = _graph(affinities(grid)[1], 256, "row"), _dense(grid, 256, "row")
    features, given = normal(12, FEATURES), labels("mixed", 12, 3)
    built = build_objective(given, 3, colour_affinity(picture(grid), 6, 200, 255, 5), "reference", 10, 0.01)
    fast = _fit_one((graph, graph.transposed()), graph @ features, built, numbers, 3)
    slow = _learn_dense(dense, features, given, picture(grid), numbers, "reference")
    torch.testing.assert_close(fast[0], slow[0], rtol=0, atol=1e-8)
    torch.testing.assert_close(fast[1], slow[1], rtol=0, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_every_image_of_a_batch_learns_what_it_learns_alone(kind):
    def problems():
        for seed, (grid, classes) in enumerate([((3, 4), 3), ((1, 1), 2), ((2, 7), 5)]):
            graph, nodes = _graph(affinities(grid, seed)[1], 20, kind), grid[0] * grid[1]
            phi = colour_affinity(picture(grid, seed), 6, 200, 255, 5)
            objective = build_objective(labels("mixed", nodes, classes, seed), classes, phi, "reference", 10, 0.01)
            propagated = (graph @ normal(nodes, FEATURES, seed=seed))[None]
            generators = [torch.Generator().manual_seed(seed)]
            yield Problem(graph, graph.transposed(), propagated, objective, [classes], generators)

    probs, losses = fit(collate([*problems()]), Numbers(steps=12))
    for image, problem in enumerate(problems()):
        (alone,), (curve,) = fit(problem, Numbers(steps=12))
        torch.testing.assert_close(probs[image, : len(alone), : alone.shape[1]], alone, rtol=0, atol=1e-9)
        torch.testing.assert_close(losses[image], curve, rtol=0, atol=1e-9)


def test_setting_makes_both_layers_walk(tiny_params):
    params = changed(tiny_params, {"propagate.gcn-i.graph_steps": 256, "propagate.gcn-i.feature_steps": 0}).propagate[
        "gcn-i"
    ]
    photograph = made_up_photograph((7, 9), 3)
    problem, _ = gcn_problem(photograph, params, torch.device("cpu"))
    dense = torch.from_numpy(reference.walked_graph_dense(photograph.graph.toarray(), params.walk.beta, 256, "row"))
    nodes = torch.from_numpy(photograph.features.reshape(6, -1).T).double()
    torch.testing.assert_close(problem.propagated[0].double(), dense @ nodes, rtol=0, atol=1e-4)
    eye = torch.eye(63)
    torch.testing.assert_close((problem.graph @ eye).double(), dense, rtol=0, atol=1e-4)
    torch.testing.assert_close((problem.transposed @ eye).double(), dense.T, rtol=0, atol=1e-4)
    (result,) = gcn_scores([photograph], params, torch.device("cpu"))
    np.testing.assert_allclose(result.probs.sum(axis=0), 1, atol=1e-5)


def _apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """For each node, the share of its row's weight that lies elsewhere."""
    return np.abs(one - other).sum(axis=1) / 2


def test_public_maximum_is_a_few_percent_of_each_row_away():
    """As docs/departures.md says; without the third term, or with the transition alone, it is farther."""
    affinity = made_up_photograph((24, 31), 3).graph.toarray().astype(np.float64)
    public = reference.public_graph_dense(affinity, BETA, 256, "row")
    transition = reference.transition_dense(affinity, BETA, 256)
    ours = _apart(reference.walked_graph_dense(affinity, BETA, 256, "row"), public)
    assert ours.max() < 0.06
    assert ours.mean() < 0.03
    for other in (transition.T, transition, transition + transition.T):
        assert _apart(reference.normalise_dense(other, "row"), public).max() > 0.12
