"""The descent against its formula, its errors, and devices and precision."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from lightning_fabric import Fabric

from tests import chain
from tests.conftest import ROOT, changed
from tests.training.lines import Line, line_sample, losses, weights
from wsgcn.errors import UsageError
from wsgcn.sections import Sgd
from wsgcn.training.descent import Descent
from wsgcn.training.loop import Training, fabric_for, train

CPU = Fabric(accelerator="cpu", devices=1)


@pytest.fixture
def params(tiny_params):
    optimiser = Sgd(kind="sgd", momentum=0.9, weight_decay=0.01)
    changes = {"optimiser": optimiser, "warmup_steps": 0, "poly_power": 0.9}
    return tiny_params.segtrain["deeplab"].model_copy(update=changes)


def descent(line, params, steps):
    return Descent(line, params, fabric=CPU, steps=steps, section="segtrain")


def test_descent_is_sgd_with_momentum_decay_and_a_poly_schedule_for_each_group(params):
    """v ← 0.9 v + (g + λ w), w ← w - lr (1 - t / T)^0.9 v, with gradients written by hand."""
    x, y, steps = torch.tensor([1.0, 2.0, -1.0]), torch.tensor([3.0, 1.0, 0.0]), 6
    line = Line()
    ours = descent(line, params, steps)
    taken = [ours.update([(x, y)]) for _ in range(steps)]
    assert taken == ours.history
    weight, speed = torch.tensor([0.5, 2.0]), torch.zeros(2)
    for number, step in enumerate(taken):
        rest = weight[0] * x + weight[1] - y
        rate = (1 - number / steps) ** 0.9
        assert step.number == number
        assert step.loss == pytest.approx((rest**2).mean().item(), rel=1e-5)
        assert step.lr == pytest.approx(0.05 * rate)
        gradient = torch.stack([(2 * rest * x).mean() + 0.01 * weight[0], (2 * rest).mean()])
        speed = 0.9 * speed + gradient
        weight = weight - torch.tensor([0.05, 0.1]) * rate * speed
    found = [line.slope.item(), line.shift.item()]
    assert found == pytest.approx(weight.tolist(), rel=1e-5)


def test_an_update_follows_the_mean_gradient_of_its_batches(params):
    x, y = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    whole, parts = Line(), Line()
    at_once, in_parts = descent(whole, params, 2), descent(parts, params, 2)
    for _ in range(2):
        at_once.update([(x, y)])
        in_parts.update([(x[:4], y[:4]), (x[4:], y[4:])])
    assert parts.slope.item() == pytest.approx(whole.slope.item(), rel=1e-5)
    assert parts.shift.item() == pytest.approx(whole.shift.item(), rel=1e-5)


def test_averaged_weights_are_the_result(params):
    """Of the first update its weights; then m ← 0.75 m + 0.25 w."""
    x, y = torch.tensor([1.0, 2.0, -1.0]), torch.tensor([3.0, 1.0, 0.0])
    plain, line = Line(), Line()
    alone, ours = descent(plain, params, 6), descent(line, params.model_copy(update={"average": 0.75}), 6)
    expected = None
    for _ in range(4):
        assert alone.update([(x, y)]) == ours.update([(x, y)])
        weights = torch.cat([plain.slope, plain.shift]).detach()
        expected = weights if expected is None else 0.75 * expected + 0.25 * weights
        left = ours.result
        assert torch.cat([left.slope, left.shift]).tolist() == pytest.approx(expected.tolist(), rel=1e-6)
        assert torch.cat([line.slope, line.shift]).tolist() == weights.tolist()
    ours.settle()
    assert torch.cat([line.slope, line.shift]).tolist() == pytest.approx(expected.tolist(), rel=1e-6)


class Hungry(Line):
    def forward(self, x, y):
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_too_little_memory_ends_in_advice(params, tmp_path):
    training = Training(
        loss=Hungry(), items={"a": 1.0}, sample=line_sample, params=params, steps=1, run_seed=0, name="line",
        label="line", section="segtrain", unfinished=tmp_path / "unfinished",
    )  # fmt: skip
    with pytest.raises(UsageError, match=r"segtrain: the memory of cpu is too small: choose a smaller batch"):
        train(training, CPU)


# ---------------------------------------------------------------- devices and precision


@pytest.mark.parametrize(
    ("stage", "name"), [("cams-train", "I"), ("affinity-train", "I"), ("affinity-train", "P"), ("segtrain", "WSGCN-I")]
)
def test_mixed_precision_computes_otherwise_and_keeps_weights_in_full(stage, name, tiny_params, made):
    values = {"boundary.train.displacement": True, "affinitynet.train.backbone_lr_factor": 0.1}
    params = changed(tiny_params, {f"affinity.{key}": value for key, value in values.items()})
    chain.run_stage(stage, name, params, made)
    full = losses(made, stage, name)
    chain.run_stage(stage, name, changed(params, {"runtime.precision": "bf16-mixed"}), made)
    mixed = losses(made, stage, name)
    assert mixed != full
    assert mixed == pytest.approx(full, rel=0.05)
    state = weights(made.checkpoint(stage, name))
    assert {one.dtype for one in state.values() if one.is_floating_point()} == {torch.float32}


def test_fabric_itself_says_nothing():
    # In a process of its own: here Fabric was imported long ago, and what imports it first decides how loud it is.
    make = (
        "from pathlib import Path; from wsgcn.params import load_params; from wsgcn.training.loop import fabric_for; "
        "fabric_for(load_params(Path('params.yaml')).runtime.model_copy(update={'precision': 'bf16-mixed'}))"
    )
    done = subprocess.run([sys.executable, "-c", make], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""


@pytest.mark.parametrize(
    ("device", "devices", "precision", "message"),
    [
        ("cpu", 1, "16-mixed", "16-mixed needs CUDA"),
        ("cuda:0", 2, "32-true", "cuda:0 is one device, runtime.devices asks for 2"),
        ("cuda", 2, "32-true", "runtime.devices is 2, but there is 1"),
        ("cuda:7", 1, "32-true", "there are 1 CUDA devices"),
    ],
)
def test_devices_that_cannot_be_had_are_refused(device, devices, precision, message, tiny_params, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    values = {"runtime.device": device, "runtime.devices": devices, "runtime.precision": precision}
    with pytest.raises(UsageError, match=message):
        fabric_for(changed(tiny_params, values).runtime)


def test_training_reports_each_update_and_leaves_the_network_in_evaluation(params, tmp_path):
    line, seen = Line(), []
    training = Training(
        loss=line,
        items={"a": 1.0, "b": 2.0},
        sample=line_sample,
        params=params.model_copy(update={"batch": 2}),
        steps=3,
        run_seed=0,
        name="line",
        label="line",
        section="segtrain",
        unfinished=tmp_path / "unfinished",
    )
    assert train(training, CPU, seen.append) == (seen, {})
    assert [step.number for step in seen] == [0, 1, 2]
    assert not line.training


@pytest.mark.parametrize(("until", "updates"), [(None, 6), (4, 4), (9, 6)])
def test_training_may_end_before_its_rates_are_down(params, tmp_path, until, updates):
    whole = Training(
        loss=Line(), items={"a": 1.0, "b": 2.0}, sample=line_sample, params=params, steps=6, run_seed=0, name="line",
        label="line", section="line", unfinished=tmp_path / "unfinished",
    )  # fmt: skip
    assert train(replace(whole, loss=Line(), until=until), CPU).history == train(whole, CPU).history[:updates]


def test_more_devices_than_photographs_in_a_batch_are_refused_at_once(tiny_params):
    with pytest.raises(
        UsageError, match=r"5 devices cannot share cams\.irnet\.train\.batch: 3, .*segtrain\.deeplab\.batch: 2"
    ):
        changed(tiny_params, {"runtime.devices": 5})
