"""The losses of eq. (2)–(7) and their gradients equal the double loops of the dense twins."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.propagate.cases import GRIDS, LABEL_KINDS, labels, normal, picture
from tests.reference import propagate as reference
from wsgcn.propagate.losses import build_objective, colour_affinity
from wsgcn.vocabulary import LOSS_NAMES

PHI = (6, 200, 255)
OBJECTIVES = ("paper", "reference")
WEIGHTS = (10, 0.5)
"""β1, as in the paper, and β2, fifty times as much, so that no term hides behind another."""


def _case(grid, classes, label_kind, seed=0):
    nodes = grid[0] * grid[1]
    logits = (2 * normal(nodes, classes, seed=seed)).requires_grad_()
    return logits, labels(label_kind, nodes, classes, seed), picture(grid, seed)


def _fast(logits, given_labels, rgb, objective, window=5):
    phi = colour_affinity(rgb, *PHI, window)
    return _Losses.apply(logits, build_objective(given_labels, logits.shape[1], phi, objective, *WEIGHTS))


class _Losses(torch.autograd.Function):
    """All five numbers; the gradient that is written out is that of the first."""

    @staticmethod
    def forward(ctx, logits, objective):
        (losses,), gradient = objective(logits)
        ctx.save_for_backward(gradient)
        return losses

    @staticmethod
    def backward(ctx, gradients):
        assert not gradients[1:].any()
        return gradients[0] * ctx.saved_tensors[0], None


def _slow(logits, given_labels, rgb, objective, window=5):
    phi = reference.colour_affinity_dense(rgb, *PHI, window)
    parts = reference.all_losses(logits, given_labels, phi, objective)
    total = reference.total_loss(
        logits, given_labels, phi, entropy_weight=WEIGHTS[0], laplacian_weight=WEIGHTS[1], objective=objective
    )
    return torch.stack([total, *(parts[name] for name in LOSS_NAMES[1:])])


@pytest.mark.parametrize("grid", [*GRIDS, (7, 8)])
@pytest.mark.parametrize("window", [1, 3, 5])
@pytest.mark.parametrize("scale", [1, 255])
def test_colour_affinity_equals_the_double_loop(grid, window, scale):
    rgb = picture(grid)
    fast = colour_affinity(rgb, 6, 200, scale, window).toarray()
    expected = reference.colour_affinity_dense(rgb, 6, 200, scale, window)
    np.testing.assert_allclose(fast - np.diag(np.diag(fast)), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("grid", GRIDS)
def test_laplacian_is_degrees_minus_affinity(grid):
    dense, nodes = reference.colour_affinity_dense(picture(grid), *PHI, 5), grid[0] * grid[1]
    built = build_objective(labels("mixed", nodes, 3), 3, colour_affinity(picture(grid), *PHI, 5), "paper", *WEIGHTS)
    expected = (np.diag(dense.sum(axis=1)) - dense) / nodes
    np.testing.assert_allclose(built.laplacian.to_dense().numpy(), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("label_kind", LABEL_KINDS)
def test_losses_and_gradients_equal_the_double_loops(grid, objective, label_kind):
    case = _case(grid, 3, label_kind)
    fast, slow = _fast(*case, objective), _slow(*case, objective)
    torch.testing.assert_close(fast, slow, rtol=0, atol=1e-10)
    gradients = [torch.autograd.grad(values[0], case[0])[0] for values in (fast, slow)]
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-10)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("classes", [1, 2, 5])
@pytest.mark.parametrize("window", [1, 3])
def test_any_number_of_classes_and_window(objective, classes, window):
    case = _case((3, 4), classes, "mixed")
    torch.testing.assert_close(_fast(*case, objective, window), _slow(*case, objective, window), rtol=0, atol=1e-10)


@given(st.integers(1, 3), st.integers(1, 4), st.integers(2, 4), st.integers(0, 999), st.sampled_from(OBJECTIVES))
def test_random_cases_equal_the_double_loops(height, width, classes, seed, objective):
    case = _case((height, width), classes, "mixed", seed)
    torch.testing.assert_close(_fast(*case, objective), _slow(*case, objective), rtol=0, atol=1e-10)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_gradcheck_of_the_whole_objective(objective):
    logits, given_labels, rgb = _case((2, 3), 3, "mixed")
    assert torch.autograd.gradcheck(lambda one: _fast(one, given_labels, rgb, objective)[0], logits)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("label_kind", LABEL_KINDS)
def test_certain_predictions_stay_finite(objective, label_kind):
    logits = torch.tensor([[1000.0, -1000.0, 0.0]] * 6, dtype=torch.float64, requires_grad=True)
    values = _fast(logits, labels(label_kind, 6, 3), picture((2, 3)), objective)
    values[0].backward()
    assert torch.isfinite(values).all()
    assert torch.isfinite(logits.grad).all()


def test_equal_predictions_have_no_laplacian_loss():
    logits = normal(1, 3).expand(12, 3).clone()
    assert abs(_fast(logits, labels("mixed", 12, 3), picture((3, 4)), "paper")[4].item()) < 1e-12


def test_order_of_nodes_does_not_matter():
    logits, given_labels, rgb = _case((1, 6), 3, "mixed")
    phi = colour_affinity(rgb, *PHI, 5)
    order = np.random.default_rng(0).permutation(6)
    shuffled = build_objective(given_labels[order], 3, phi[order][:, order].tocsr(), "paper", *WEIGHTS)
    (losses,), gradient = shuffled(logits.detach()[order])
    expected = _fast(logits, given_labels, rgb, "paper")
    torch.testing.assert_close(losses, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected[0], logits)[0][order], rtol=0, atol=1e-10)


def test_precision_follows_the_affinity():
    phi = colour_affinity(picture((2, 3)), *PHI, 5).astype(np.float32)
    built = build_objective(labels("mixed", 6, 3), 3, phi, "paper", 10, 0.01)
    assert {built.foreground.dtype, built.unlabelled.dtype, built.laplacian.dtype} == {torch.float32}
