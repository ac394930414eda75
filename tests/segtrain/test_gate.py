"""The stochastic gate: its mean, what it drops, and that it is gone after training."""

import pytest
import torch

from wsgcn.segtrain.gate import GlobalCues, StochasticGate, gated


def _normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_the_mean_over_draws_are_the_deep_features():
    deep, shallow, rate = _normal(2, 3), _normal(2, 3, seed=1), 0.3
    kept = gated(deep, shallow, rate, torch.zeros(2, 3, dtype=torch.bool))
    dropped = gated(deep, shallow, rate, torch.ones(2, 3, dtype=torch.bool))
    assert torch.equal(dropped, shallow)
    torch.testing.assert_close((1 - rate) * kept + rate * dropped, deep)


def test_the_rate_is_dropped_and_evaluation_drops_nothing():
    torch.manual_seed(0)
    gate = StochasticGate(4, 6, 5, 0.3)
    shallow, deep = _normal(2, 4, 40, 40), _normal(2, 6, 20, 20, seed=1)
    mixed = gate(shallow, deep)
    assert mixed.shape == deep.shape
    cues = gate.cues(torch.nn.functional.interpolate(shallow, size=[20, 20], mode="bilinear", antialias=True), deep)
    assert float((mixed == cues).float().mean()) == pytest.approx(0.3, abs=0.03)
    assert gate.eval()(shallow, deep) is deep


def test_cues_come_from_the_whole_photograph():
    torch.manual_seed(0)
    cues = GlobalCues(4, 6, 5).eval()
    shallow, deep = _normal(1, 4, 8, 8), _normal(1, 6, 4, 4, seed=1)
    before = cues(shallow, deep)
    deep[0, :, 3, 3] += 10
    after = cues(shallow, deep)
    assert before.shape == (1, 6, 8, 8)
    assert (before != after)[..., 0, 0].any()


def test_both_learn():
    torch.manual_seed(0)
    gate = StochasticGate(4, 6, 5, 0.5)
    deep = _normal(2, 6, 8, 8, seed=1).requires_grad_()
    gate(_normal(2, 4, 16, 16), deep).square().sum().backward()
    assert deep.grad.abs().sum() > 0
    assert all(one.grad is not None and one.grad.abs().sum() > 0 for one in gate.parameters())
