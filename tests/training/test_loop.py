"""The descent against its formula, and trainings on several devices against the same on one."""

import signal
import subprocess
import sys
import time
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from tests import chain
from tests.conftest import ROOT, changed
from wsgcn.errors import DataError, UsageError
from wsgcn.params import Runtime, SgdTraining
from wsgcn.store.files import read_table
from wsgcn.store.index import load_index
from wsgcn.store.label_maps import load_label_map, save_label_map
from wsgcn.store.records import Cams, load_record, save_record
from wsgcn.training.distributed import shared_count
from wsgcn.training.loop import Objective, Training, descend, fabric_for, train

CPU = Fabric(accelerator="cpu", devices=1)


class Line(Objective):
    """Fits y = a x + b, with a rate for each and no weight decay for b."""

    def __init__(self):
        super().__init__()
        self.slope, self.shift = nn.Parameter(torch.tensor([0.5])), nn.Parameter(torch.tensor([2.0]))

    def groups(self):
        return [{"params": [self.slope], "lr": 0.05}, {"params": [self.shift], "lr": 0.1, "weight_decay": 0.0}]

    def forward(self, x, y):
        return ((self.slope * x + self.shift - y) ** 2).mean()


@pytest.fixture
def params(tiny_params):
    return tiny_params.segtrain.model_copy(update={"momentum": 0.9, "weight_decay": 0.01, "poly_power": 0.9})


# ---------------------------------------------------------------- the formula


def test_descent_is_sgd_with_momentum_decay_and_a_poly_schedule_for_each_group(params):
    """v ← 0.9 v + (g + λ w), w ← w - lr (1 - t / T)^0.9 v, with gradients written by hand."""
    x, y, steps = torch.tensor([1.0, 2.0, -1.0]), torch.tensor([3.0, 1.0, 0.0]), 6
    line = Line()
    taken = list(descend(line, [(x, y)] * steps, params, fabric=CPU, steps=steps, section="segtrain"))
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
    list(descend(whole, [(x, y)] * 2, params, fabric=CPU, steps=2, section="s"))
    feed = [(x[:4], y[:4]), (x[4:], y[4:])] * 2
    steps = list(descend(parts, feed, params, fabric=CPU, steps=2, section="s", accumulate=2))
    assert len(steps) == 2
    assert parts.slope.item() == pytest.approx(whole.slope.item(), rel=1e-5)
    assert parts.shift.item() == pytest.approx(whole.shift.item(), rel=1e-5)


def test_nothing_counted_divides_by_one():
    assert shared_count(torch.tensor([0, 1, 7])).tolist() == [1, 1, 7]


# ---------------------------------------------------------------- several devices

# A batch norm that learns sees its own process's share of a batch, so these are frozen.
TRAININGS = (
    ("cams-train", "I", {"cams.I.train.freeze_norm": True, "cams.I.train.batch": 3}),
    ("affinity-train", "I", {"affinity.I.train.batch": 2, "affinity.I.displacement": True}),
    ("segtrain", "WSGCN-I", {"segtrain.freeze_norm": True, "segtrain.iterations": 3, "segtrain.accumulate": 2}),
)


@pytest.fixture
def unequal(made):
    """Everything up to the labels; one photograph has few, so that a mean of two processes' means would be wrong."""
    image = load_index(made.index).split("train")[0]
    path = made.label_map("crf", "WSGCN-I", image.id)
    labels = load_label_map(path).copy()
    labels[4:] = 255
    save_label_map(path, labels, "made by the test")
    cams_path = made.arrays("cams", "I", image.id)
    cams = load_record(cams_path, Cams)
    maps = np.full_like(cams.cams, 0.25)  # between what is surely background and surely foreground
    maps[0, :3, :3], maps[0, 4:, :3] = 1, 0
    save_record(cams_path, Cams(cams.class_ids, maps), "made by the test")
    return made


def losses(artifacts, stage, name):
    return [float(row["loss"]) for row in read_table(artifacts.history(stage, name))]


def weights(checkpoint):
    return torch.load(checkpoint, weights_only=True)["state"]


@pytest.mark.parametrize(("stage", "name", "values"), TRAININGS, ids=[one[0] for one in TRAININGS])
def test_two_processes_train_as_one_with_the_whole_batch(stage, name, values, tiny_params, unequal):
    """Each of the two, joined by gloo, has its part of every batch; the classifier's 3 are 2 and 1."""
    params = changed(tiny_params, values)
    chain.run_stage(stage, name, params, unequal)
    alone, expected = losses(unequal, stage, name), weights(unequal.checkpoint(stage, name))
    chain.run_stage(stage, name, changed(params, {"runtime.devices": 2}), unequal)
    assert losses(unequal, stage, name) == pytest.approx(alone, rel=1e-5)
    found = weights(unequal.checkpoint(stage, name))
    assert all(torch.allclose(one, expected[key], atol=1e-4) for key, one in found.items())


CLUSTER = {"SLURM_NTASKS": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_JOB_ID": "1",
           "SLURM_JOB_NAME": "train", "SLURM_NODELIST": "127.0.0.1"}  # fmt: skip


def test_an_error_in_another_process_is_told_as_here(tiny_params, unequal, monkeypatch):
    """Also in a job of SLURM, whose variables Fabric would take for its own processes."""
    for name, value in CLUSTER.items():
        monkeypatch.setenv(name, value)
    image = load_index(unequal.index).split("train")[-1]
    path = unequal.label_map("crf", "WSGCN-I", image.id)
    save_label_map(path, np.full_like(load_label_map(path), 99), "made by the test")
    params = changed(tiny_params, {"runtime.devices": 2, "segtrain.iterations": 9})
    with pytest.raises(DataError, match="holds class 99"):
        chain.run_stage("segtrain", "WSGCN-I", params, unequal)
    assert active_children() == []


FOR_EVER = """
from tests.ops.test_training import endless
endless()
"""


def endless():
    """Trains on two processes until it is stopped; the processes of a training must find it by name."""
    runtime = Runtime(seed=0, device="cpu", devices=2, precision="32-true", workers=1)
    params = SgdTraining(batch=2, crop=32, lr=0.1, momentum=0.9, weight_decay=0.0, poly_power=0.9)
    training = Training(
        objective=Line(), items={"a": 1.0, "b": 2.0}, sample=line_sample, params=params, steps=10**9, run_seed=0,
        name="line", label="line", section="line",
    )  # fmt: skip
    train(training, fabric_for(runtime), say)


def say(step):
    sys.stdout.write(f"{step.number}\n")
    sys.stdout.flush()


def line_sample(item, generator):
    return torch.tensor(item), torch.tensor(2 * item)


def test_interrupt_of_the_parent_alone_ends_all_processes():
    with subprocess.Popen(
        [sys.executable, "-c", FOR_EVER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT, text=True
    ) as process:
        assert process.stdout.readline() == "0\n"
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.send_signal(signal.SIGINT)
        process.stdout.close()
        assert process.wait(timeout=60) != 0
    assert len(children) >= 2
    deadline = time.monotonic() + 20
    while alive := [one for one in children if _runs(one)]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.1)


def _runs(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


class Hungry(Line):
    def forward(self, x, y):
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_too_little_memory_ends_in_advice(params):
    training = Training(
        objective=Hungry(), items={"a": 1.0}, sample=line_sample, params=params, steps=1, run_seed=0, name="line",
        label="line", section="segtrain",
    )  # fmt: skip
    with pytest.raises(UsageError, match=r"segtrain: the memory of cpu is too small: choose a smaller batch"):
        train(training, CPU)


def test_more_devices_than_photographs_in_a_batch_are_refused_at_once(tiny_params):
    with pytest.raises(UsageError, match=r"5 devices cannot share segtrain\.batch: 2, cams\.I\.train\.batch: 3"):
        changed(tiny_params, {"runtime.devices": 5})


# ---------------------------------------------------------------- devices and precision


@pytest.mark.parametrize(
    ("stage", "name"), [("cams-train", "I"), ("affinity-train", "I"), ("affinity-train", "P"), ("segtrain", "WSGCN-I")]
)
def test_mixed_precision_computes_otherwise_and_keeps_weights_in_full(stage, name, tiny_params, made):
    params = changed(tiny_params, {"affinity.I.displacement": True, "affinity.P.train.backbone_lr_factor": 0.1})
    chain.run_stage(stage, name, params, made)
    full = losses(made, stage, name)
    chain.run_stage(stage, name, changed(params, {"runtime.precision": "bf16-mixed"}), made)
    mixed = losses(made, stage, name)
    assert mixed != full
    assert mixed == pytest.approx(full, rel=0.05)
    state = weights(made.checkpoint(stage, name))
    assert {one.dtype for one in state.values() if one.is_floating_point()} == {torch.float32}


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


def test_training_reports_each_update_and_leaves_the_network_in_evaluation(params):
    line, seen = Line(), []
    training = Training(
        objective=line,
        items={"a": 1.0, "b": 2.0},
        sample=line_sample,
        params=params.model_copy(update={"batch": 2}),
        steps=3,
        run_seed=0,
        name="line",
        label="line",
        section="segtrain",
    )
    assert train(training, CPU, seen.append) == seen
    assert [step.number for step in seen] == [0, 1, 2]
    assert not line.training
