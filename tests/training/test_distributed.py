"""Trainings on several devices against the same on one, and how they end."""

import signal
import subprocess
import sys
import time
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from tests import chain
from tests.conftest import ROOT, changed
from tests.training.lines import losses, weights
from wsgcn.errors import DataError
from wsgcn.params import parse_params
from wsgcn.store.index import load_index
from wsgcn.store.label_maps import load_label_map, save_label_map
from wsgcn.store.records import Cams, load_record, save_record
from wsgcn.training.distributed import shared_count, shared_mean
from wsgcn.vocabulary import PRESET_FOLDER


def test_nothing_counted_divides_by_one():
    assert shared_count(torch.tensor([0, 1, 7])).tolist() == [1, 1, 7]


def test_mean_of_one_process_is_the_mean_with_its_gradient():
    costs = torch.tensor([1.0, 2.0, 6.0], requires_grad=True)
    mean = shared_mean(costs)
    mean.backward()
    assert (mean.item(), costs.grad.tolist()) == (3, pytest.approx([1 / 3] * 3))


# A batch norm that learns sees its own process's share of a batch, so these are frozen. SGD follows the gradient
# itself; AdamW would make a whole step of a last digit.
SGD = {"kind": "sgd", "momentum": 0.9, "weight_decay": 1.0e-4}
SHARED = {
    "cams.irnet.train": {"freeze_norm": "all", "batch": 3},
    "affinity.boundary.train": {"batch": 2, "displacement": True},
    "segtrain.deeplab": {"freeze_norm": "all", "steps": 3, "accumulate": 2, "average": 0.75},
}
VALUES = [{f"{section}.{key}": value for key, value in (values | {"optimiser": SGD}).items()}
          for section, values in SHARED.items()]  # fmt: skip
TRAININGS = tuple(zip(("cams-train", "affinity-train", "segtrain"), ("I", "I", "WSGCN-I"), VALUES))


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


def test_region_growing_trains_on_two_processes_as_on_one(tiny_params, unequal):
    """Its losses are means over photographs, of which the two processes have 2 and 1."""
    content = tiny_params.model_dump(mode="json")
    mobile = yaml.safe_load((PRESET_FOLDER / "voc12-mobile.yaml").read_text())["segtrain"]["dsrg"]
    own = {key: mobile[key] for key in ("growth", "crf", "softmax")} | {"kind": "dsrg", "min_confidence": 0}
    shared = {key: value for key, value in content["segtrain"]["deeplab"].items() if key != "input_scales"}
    content["segtrain"]["deeplab"] = shared | own | {"freeze_norm": "all", "batch": 3, "steps": 3, "optimiser": SGD}
    params = parse_params(content, "test")
    chain.run_stage("segtrain", "WSGCN-I", params, unequal)
    alone, expected = losses(unequal, "segtrain", "WSGCN-I"), weights(unequal.checkpoint("segtrain", "WSGCN-I"))
    chain.run_stage("segtrain", "WSGCN-I", changed(params, {"runtime.devices": 2}), unequal)
    assert losses(unequal, "segtrain", "WSGCN-I") == pytest.approx(alone, rel=1e-5)
    found = weights(unequal.checkpoint("segtrain", "WSGCN-I"))
    assert all(torch.allclose(one, expected[key], atol=1e-5) for key, one in found.items())


CLUSTER = {"SLURM_NTASKS": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_JOB_ID": "1",
           "SLURM_JOB_NAME": "train", "SLURM_NODELIST": "127.0.0.1"}  # fmt: skip


def test_an_error_in_another_process_is_told_as_here(tiny_params, unequal, monkeypatch):
    """Also in a job of SLURM, whose variables Fabric would take for its own processes."""
    for name, value in CLUSTER.items():
        monkeypatch.setenv(name, value)
    image = load_index(unequal.index).split("train")[-1]
    path = unequal.label_map("crf", "WSGCN-I", image.id)
    save_label_map(path, np.full_like(load_label_map(path), 99), "made by the test")
    params = changed(tiny_params, {"runtime.devices": 2, "segtrain.deeplab.steps": 9})
    with pytest.raises(DataError, match="holds class id 99"):
        chain.run_stage("segtrain", "WSGCN-I", params, unequal)
    assert active_children() == []


FOR_EVER = """
from tests.training.lines import endless
endless()
"""


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
