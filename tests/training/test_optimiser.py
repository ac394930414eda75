"""Optimisers with a rate for each group, and their schedule."""

import pytest
import torch
from torch import nn

from wsgcn.errors import UsageError
from wsgcn.sections import AdamW, Sgd
from wsgcn.training.optimiser import finite, poly_schedule

SGD = Sgd(kind="sgd", momentum=0.9, weight_decay=5e-4)
KINDS = [SGD, AdamW(kind="adamw", weight_decay=5e-4)]


@pytest.mark.parametrize("kind", KINDS, ids=["sgd", "adamw"])
def test_groups_have_their_own_rates_and_decays(kind):
    free, bias = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    optimizer = kind.build([{"params": [free], "lr": 0.1}, {"params": [bias], "lr": 0.2, "weight_decay": 0.0}])
    seen = [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups]
    assert seen == [(0.1, 5e-4), (0.2, 0.0)]


def test_sgd_keeps_momentum_and_decay_apart():
    """Pitfall P1: in IRNet, PSA and SEAM the weight decay took the momentum's place."""
    (group,) = SGD.build([{"params": [nn.Parameter(torch.ones(1))], "lr": 0.1}]).param_groups
    assert (group["momentum"], group["weight_decay"]) == (0.9, 5e-4)


def test_momentum_really_carries_over():
    weight = nn.Parameter(torch.zeros(1))
    optimizer = Sgd(kind="sgd", momentum=0.9, weight_decay=0.0).build([{"params": [weight], "lr": 1.0}])
    for gradient in (1.0, 0.0):
        weight.grad = torch.tensor([gradient])
        optimizer.step()
    assert weight.item() == pytest.approx(-1.9)


def test_adamw_equals_its_formula():
    """m ← 0.9 m + 0.1 g, v ← 0.999 v + 0.001 g², w ← (1 - lr λ) w - lr m̂ / (√v̂ + 1e-8)."""
    weight, decay, lr = nn.Parameter(torch.tensor([2.0], dtype=torch.float64)), 0.1, 0.5
    optimizer = AdamW(kind="adamw", weight_decay=decay).build([{"params": [weight], "lr": lr}])
    expected, mean, square = 2.0, 0.0, 0.0
    for step, gradient in enumerate([1.0, -3.0, 0.5], start=1):
        weight.grad = torch.tensor([gradient], dtype=torch.float64)
        optimizer.step()
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        first, second = mean / (1 - 0.9**step), square / (1 - 0.999**step)
        expected = (1 - lr * decay) * expected - lr * first / (second**0.5 + 1e-8)
        assert weight.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("steps", "power"), [(7, 0.9), (30, 1.0), (1, 0.9), (5, 0.0)])
@pytest.mark.parametrize("warmup", [0, 1, 3])
def test_poly_schedule_equals_its_formula(steps, power, warmup):
    optimizer = SGD.build([{"params": [nn.Parameter(torch.ones(1))], "lr": lr} for lr in (0.02, 0.2)])
    schedule = poly_schedule(optimizer, steps, power, warmup)
    for step in range(steps):
        warm = (step + 1) / warmup if step < warmup else 1
        expected = [lr * warm * (1 - step / steps) ** power for lr in (0.02, 0.2)]
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx(expected)
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_loss_that_is_not_finite_names_the_rate_to_change(value):
    with pytest.raises(UsageError, match=r"cams\.train: the loss is (nan|inf) at step 3: .* cams\.train\.lr"):
        finite(torch.tensor(value), "cams.train", 3)
    assert finite(torch.tensor(0.5), "cams.train", 3) == 0.5
