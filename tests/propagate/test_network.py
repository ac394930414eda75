"""The GCN of eq. (1) equals the dense twin and torch_geometric's layers, forward, backward and when learning."""

import itertools
import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch_geometric.nn import GCNConv

from tests.propagate.cases import GRIDS, KINDS, affinities, labels, normal, picture, torch_graph
from tests.reference import propagate as reference
from wsgcn.propagate.graph import normalise
from wsgcn.propagate.losses import build_objective, colour_affinity
from wsgcn.propagate.network import Dropout, Gcn, Problem, fit, initial_weights

FEATURES = 7


@dataclass(frozen=True)
class Numbers:
    hidden: int = 4
    bias: bool = True
    dropout: float = 0.3
    steps: int = 6
    lr: float = 0.01
    weight_decay: float = 5e-4


def _weights(classes=3):
    """W1, W2, b1 and b2."""
    shapes = (FEATURES, 16), (16, classes), (1, 16), (1, classes)
    return tuple(normal(*shape, seed=seed).requires_grad_() for seed, shape in enumerate(shapes, 1))


def _gcn(graphs, *weights):
    """The batch of one."""
    return Gcn(*graphs, *(one[None] for one in weights))


def _fit_one(graphs, propagated, objective, numbers, seed):
    classes = [objective.foreground.shape[1]]
    problem = Problem(*graphs, propagated[None], objective, classes, [torch.Generator().manual_seed(seed)])
    (probs,), (losses,) = fit(problem, numbers)
    return probs, losses


def _dense_graph(dense, kind):
    return torch.from_numpy(reference.normalise_dense(dense, kind))


def _objective(grid, kind="reference", seed=0):
    phi = colour_affinity(picture(grid), 6, 200, 255, 5)
    return build_objective(labels("mixed", grid[0] * grid[1], 3, seed), 3, phi, kind, 10, 0.01)


def _fit(grid, numbers, seed=0, order=None, kind="row"):
    nodes = grid[0] * grid[1]
    order = np.arange(nodes) if order is None else order
    sparse = affinities(grid)[1][order][:, order].tocsr()
    phi = colour_affinity(picture(grid), 6, 200, 255, 5)[order][:, order].tocsr()
    objective = build_objective(labels("mixed", nodes, 3)[order], 3, phi, "reference", 10, 0.01)
    graphs = torch_graph(sparse, kind)
    return _fit_one(graphs, graphs[0] @ normal(nodes, FEATURES)[order], objective, numbers, seed)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("classes", [1, 3])
def test_forward_equals_the_dense_twin(grid, kind, classes):
    dense, sparse = affinities(grid)
    features, weights = normal(len(dense), FEATURES), _weights(classes)
    graphs = torch_graph(sparse, kind)
    gcn = _gcn(graphs, *weights)
    log_probs = gcn.logits(gcn.hidden((graphs[0] @ features)[None])).log_softmax(1)
    _, probs = reference.gcn_forward_dense(_dense_graph(dense, kind), features, *weights)
    torch.testing.assert_close(log_probs.exp(), probs, rtol=0, atol=1e-10)
    torch.testing.assert_close(probs.sum(dim=1), torch.ones(len(dense), dtype=torch.float64))


@pytest.mark.parametrize("kind", KINDS)
def test_forward_equals_two_layers_of_torch_geometric(kind):
    _, sparse = affinities((4, 5))
    features, weights = normal(20, FEATURES), _weights()
    graphs = torch_graph(sparse, kind)
    layers = [GCNConv(*w.shape, normalize=False).double() for w in weights[:2]]
    for layer, weight, bias in zip(layers, weights, weights[2:]):
        layer.lin.weight.data = weight.detach().T.clone()
        layer.bias.data = bias.detach()[0].clone()
    entries = normalise(sparse, kind).tocoo()
    edges = torch.from_numpy(np.stack([entries.col, entries.row])).long()  # from source j to target i
    hidden = layers[0](features, edges, torch.from_numpy(entries.data)).relu()
    expected = layers[1](hidden, edges, torch.from_numpy(entries.data)).log_softmax(dim=1)
    gcn = _gcn(graphs, *weights)
    fast = gcn.logits(gcn.hidden((graphs[0] @ features)[None])).log_softmax(1)
    torch.testing.assert_close(fast, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_the_weights_equal_the_dense_twins(grid, kind):
    dense, sparse = affinities(grid)
    features, weights = normal(len(dense), FEATURES), _weights()
    graphs = torch_graph(sparse, kind)
    gcn, propagated = _gcn(graphs, *(one.detach() for one in weights)), (graphs[0] @ features)[None]
    hidden = gcn.hidden(propagated)
    fast = tuple(one[0] for one in gcn.gradients(propagated, hidden, 2 * gcn.logits(hidden)))
    logits, _ = reference.gcn_forward_dense(_dense_graph(dense, kind), features, *weights)
    slow = torch.autograd.grad((logits**2).sum(), weights)
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-10)


class _Loss(torch.autograd.Function):
    """The loss of a training step over weights and biases, with the written gradients, for gradcheck."""

    @staticmethod
    def forward(ctx, w1, w2, b1, b2, graphs, propagated, objective, rate):
        gcn, dropout = _gcn(graphs, w1, w2, b1, b2), Dropout(rate, torch.tensor([0]))
        hidden = dropout(gcn.hidden(propagated))
        losses, d_logits = objective(gcn.logits(hidden))
        ctx.save_for_backward(*(one[0] for one in gcn.gradients(propagated, hidden, d_logits, dropout.scale)))
        return losses[0, 0]

    @staticmethod
    def backward(ctx, gradient):
        return *(gradient * one for one in ctx.saved_tensors), None, None, None, None


@pytest.mark.parametrize("rate", [0, 0.3])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("objective", ["paper", "reference"])
def test_gradcheck_of_a_training_step(objective, kind, rate):
    graphs = torch_graph(affinities((2, 3))[1], kind)
    propagated, built = (graphs[0] @ normal(6, FEATURES))[None], _objective((2, 3), objective)
    assert torch.autograd.gradcheck(lambda *weights: _Loss.apply(*weights, graphs, propagated, built, rate), _weights())


@pytest.mark.parametrize(("rate", "dropped"), [(0, 0), (0.3, 77 / 256), (0.5, 0.5), (0.999, 255 / 256)])
def test_dropout_drops_its_share_and_keeps_the_mean(rate, dropped):
    dropout = Dropout(rate, torch.tensor([3]))
    values = dropout(torch.ones(1, 500, 403))
    assert dropout.scale == pytest.approx(1 / (1 - dropped))
    assert values.unique().tolist() == pytest.approx([0, dropout.scale] if rate else [1])
    assert (values == 0).float().mean() == pytest.approx(dropped, abs=0.004)
    columns = (values == 0).float().mean(dim=(0, 1))
    assert (columns - dropped).abs().max() < 0.12  # no place in the word of eight bytes is different


@pytest.mark.parametrize("seed", [0, 1, 2**62, -(2**63)])
def test_words_of_dropout_equal_a_plain_splitmix64(seed):
    dropout = Dropout(0.5, torch.tensor([seed]))
    dropout(torch.ones(1, 1, 1))  # its second call is looked at
    kept = dropout(torch.ones(1, 3, 8))[0] > 0
    for word in range(3):
        expected = _splitmix64(seed + ((1 << 40) + word) * 0x9E3779B97F4A7C15).to_bytes(8, sys.byteorder)
        assert kept[word].tolist() == [byte >= 128 for byte in expected]


def _splitmix64(state):
    state %= 2**64
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB % 2**64
    return state ^ (state >> 31)


def test_dropout_draws_anew_each_time_and_for_each_image():
    dropout = Dropout(0.5, torch.tensor([1, 2]))
    one, again = dropout(torch.ones(2, 9, 5)), dropout(torch.ones(2, 9, 5))
    masks = [*one, *again]
    assert all(not torch.equal(a, b) for a, b in itertools.combinations(masks, 2))


def test_neither_padding_nor_the_other_images_change_a_mask():
    alone = Dropout(0.5, torch.tensor([7]))(torch.ones(1, 9, 5))
    among = Dropout(0.5, torch.tensor([1, 7]))(torch.ones(2, 11, 5))
    assert torch.equal(among[1, :9], alone[0])


@pytest.mark.parametrize(("rows", "columns"), [(7, 16), (16, 3), (400, 4)])
def test_initial_weights_are_uniform_within_their_bound(rows, columns):
    weights = initial_weights(rows, columns, torch.Generator().manual_seed(0), torch.float64)
    assert weights.shape == (rows, columns)
    assert weights.abs().max() <= columns**-0.5
    assert weights.abs().max() > 0.8 * columns**-0.5
    assert weights.min() < 0 < weights.max()


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("objective", ["paper", "reference"])
def test_learning_equals_a_dense_loop(dropout, bias, objective):
    grid, numbers = (3, 4), Numbers(bias=bias, dropout=dropout)
    dense, sparse = affinities(grid)
    graphs = torch_graph(sparse, "row")
    features, given_labels = normal(12, FEATURES), labels("mixed", 12, 3)
    phi = colour_affinity(picture(grid), 6, 200, 255, 5)
    built = build_objective(given_labels, 3, phi, objective, 10, 0.01)
    fast = _fit_one(graphs, graphs[0] @ features, built, numbers, 3)
    slow = _learn_dense(_dense_graph(dense, "row"), features, given_labels, picture(grid), numbers, objective)
    torch.testing.assert_close(fast[0], slow[0], rtol=0, atol=1e-9)
    torch.testing.assert_close(fast[1], slow[1], rtol=0, atol=1e-9)


def _learn_dense(graph, features, given_labels, rgb, numbers, objective):
    generator = torch.Generator().manual_seed(3)
    w1 = initial_weights(FEATURES, numbers.hidden, generator, torch.float64).requires_grad_()
    w2 = initial_weights(numbers.hidden, 3, generator, torch.float64).requires_grad_()
    b1, b2 = torch.zeros(1, numbers.hidden, dtype=torch.float64), torch.zeros(1, 3, dtype=torch.float64)
    if numbers.bias:
        b1, b2 = (initial_weights(*one.shape, generator, torch.float64).requires_grad_() for one in (b1, b2))
    dropout = Dropout(numbers.dropout, torch.randint(2**63 - 1, (1,), generator=generator))
    phi = reference.colour_affinity_dense(rgb, 6, 200, 255, 5)
    optimizer = torch.optim.Adam(
        [w1, w2, *((b1, b2) if numbers.bias else ())], lr=numbers.lr, weight_decay=numbers.weight_decay
    )
    history = []
    for _ in range(numbers.steps):
        factors = dropout(torch.ones((1, len(features), numbers.hidden), dtype=torch.float64))[0]
        hidden = torch.relu(graph @ features @ w1 + b1) * factors
        logits = graph @ hidden @ w2 + b2
        parts = reference.all_losses(logits, given_labels, phi, objective)
        total = reference.total_loss(
            logits, given_labels, phi, entropy_weight=10, laplacian_weight=0.01, objective=objective
        )
        history.append(torch.stack([total, *parts.values()]).detach())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    return reference.gcn_forward_dense(graph, features, w1, w2, b1, b2)[1].detach(), torch.stack(history)


def test_nodes_whose_hidden_layer_is_dead_take_the_label_of_the_others_by_the_bias():
    """Without it they stay at one half for ever: a photograph of the demo was lost that way."""
    graphs = torch_graph(affinities((4, 5))[1], "none")
    nothing = torch.zeros(20, FEATURES, dtype=torch.float64)
    phi = colour_affinity(picture((4, 5)), 6, 200, 255, 5)
    objective = build_objective(np.array([0] * 5 + [255] * 15, dtype=np.uint8), 2, phi, "reference", 0, 0)
    found = {bias: _fit_one(graphs, nothing, objective, Numbers(bias=bias, steps=300), 0)[0] for bias in (False, True)}
    torch.testing.assert_close(found[False], torch.full_like(found[False], 0.5))
    assert found[True][:, 0].min() > 0.8


@pytest.mark.parametrize("grid", GRIDS)
def test_result_has_probabilities_and_finite_losses(grid):
    probs, losses = _fit(grid, Numbers())
    assert losses.shape == (6, 5)
    assert torch.isfinite(losses).all()
    torch.testing.assert_close(probs.sum(dim=1), torch.ones(len(probs), dtype=torch.float64))
    assert not probs.requires_grad


def test_learning_lowers_the_loss():
    _, losses = _fit((4, 5), Numbers(steps=60, dropout=0.0))
    assert losses[-1, 0] < 0.9 * losses[0, 0]


def test_same_seed_gives_the_same_and_another_seed_another():
    torch.manual_seed(0)
    one = _fit((3, 4), Numbers(), seed=5)
    torch.manual_seed(1)
    again, other = _fit((3, 4), Numbers(), seed=5), _fit((3, 4), Numbers(), seed=6)
    assert all(torch.equal(a, b) for a, b in zip(one, again))
    assert not torch.equal(one[0], other[0])


@pytest.mark.parametrize("kind", KINDS)
def test_permuted_nodes_give_permuted_results(kind):
    numbers = replace(Numbers(), dropout=0.0)
    order = np.random.default_rng(0).permutation(12)
    probs, losses = _fit((3, 4), numbers, kind=kind)
    shuffled_probs, shuffled_losses = _fit((3, 4), numbers, order=order, kind=kind)
    torch.testing.assert_close(shuffled_probs, probs[order], rtol=0, atol=1e-9)
    torch.testing.assert_close(shuffled_losses, losses, rtol=0, atol=1e-9)
