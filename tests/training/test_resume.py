"""A training that was killed goes on, and ends with the bytes of one that was not."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from tests import chain
from tests.conftest import changed
from tests.projects import ROOT
from tests.training.lines import Line, weights
from wsgcn.store.checkpoints import read_unfinished, save_unfinished
from wsgcn.training import loop
from wsgcn.training.check import BestWeights
from wsgcn.training.descent import Descent

TRAININGS = [("cams-train", "I"), ("affinity-train", "I"), ("affinity-train", "P"), ("segtrain", "WSGCN-I")]
each_training = pytest.mark.parametrize(("stage", "name"), TRAININGS, ids=[" ".join(one) for one in TRAININGS])


@pytest.fixture
def params(tiny_params, tmp_path):
    """Trainings of seven updates with all that could be lost.

    That is moments, averages, dropout, norms that learn, and several batches an update.
    """
    adamw = {"kind": "adamw", "weight_decay": 0.01}
    sections = ["cams.irnet.train", "affinity.boundary.train", "affinity.affinitynet.train", "segtrain.deeplab"]
    values = {f"{section}.steps": 7 for section in sections} | {f"{section}.warmup_steps": 2 for section in sections}
    values |= {
        "cams.irnet.train.dropout": 0.5,
        "cams.irnet.train.freeze_norm": "none",
        "segtrain.deeplab.freeze_norm": "none",
    }
    values |= {
        "cams.irnet.train.average": 0.75,
        "affinity.affinitynet.train.average": 0.5,
        "segtrain.deeplab.average": 0.9,
    }
    values |= {
        "segtrain.deeplab.optimiser": adamw,
        "segtrain.deeplab.accumulate": 2,
        "runtime.store": str(tmp_path / "store"),
    }
    return changed(tiny_params, values)


def left(made, stage, name):
    return tuple(file(stage, name).read_bytes() for file in (made.checkpoint, made.history, made.learned))


def interrupt_after(monkeypatch, updates):
    """Keep the training after every update, and stop it after so many."""
    kept = []

    def keep(path, state):
        save_unfinished(path, state)
        kept.append(len(state["history"]))
        if len(kept) == updates:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "KEEP_SECONDS", -1)
    monkeypatch.setattr(loop, "save_unfinished", keep)
    return kept


@each_training
def test_what_was_interrupted_ends_as_if_it_had_not_been(stage, name, params, made, monkeypatch, tmp_path):
    chain.run_stage(stage, name, params, made)
    whole = left(made, stage, name)
    other = changed(params, {"runtime.store": str(tmp_path / "other")})
    kept = interrupt_after(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        chain.run_stage(stage, name, other, made)
    (unfinished,) = (tmp_path / "other").glob("??/*-unfinished")
    assert len(read_unfinished(unfinished)["history"]) == 3
    chain.run_stage(stage, name, other, made)
    assert kept == [1, 2, 3, 4, 5, 6, 7]
    assert left(made, stage, name) == whole
    assert not unfinished.exists()


def test_other_parameters_start_anew(params, made, monkeypatch):
    interrupt_after(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        chain.run_stage("cams-train", "I", params, made)
    kept = interrupt_after(monkeypatch, 99)
    chain.run_stage("cams-train", "I", changed(params, {"cams.irnet.train.lr": 0.0123}), made)
    assert kept[0] == 1


@pytest.mark.parametrize("content", [b"", b"no weights", None], ids=["empty", "broken", "cut"])
def test_what_was_kept_badly_starts_anew(content, params, made, monkeypatch, tmp_path):
    interrupt_after(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        chain.run_stage("cams-train", "I", params, made)
    (unfinished,) = (tmp_path / "store").glob("??/*-unfinished")
    unfinished.write_bytes(unfinished.read_bytes()[:2000] if content is None else content)
    kept = interrupt_after(monkeypatch, 99)
    chain.run_stage("cams-train", "I", params, made)
    assert kept[0] == 1


def test_mixed_precision_resumes_too(params, made, monkeypatch, tmp_path):
    params = changed(params, {"runtime.precision": "bf16-mixed"})
    chain.run_stage("segtrain", "WSGCN-I", params, made)
    whole = left(made, "segtrain", "WSGCN-I")
    other = changed(params, {"runtime.store": str(tmp_path / "other")})
    interrupt_after(monkeypatch, 4)
    with pytest.raises(KeyboardInterrupt):
        chain.run_stage("segtrain", "WSGCN-I", other, made)
    chain.run_stage("segtrain", "WSGCN-I", other, made)
    assert left(made, "segtrain", "WSGCN-I") == whole


def test_updates_of_an_earlier_run_are_told_first(params, tmp_path):
    training = loop.Training(
        loss=Line(), items={"a": 1.0, "b": 2.0}, sample=_sample, params=params.segtrain["deeplab"], steps=6, run_seed=0,
        name="line", label="line", section="line", unfinished=tmp_path / "unfinished",
    )  # fmt: skip
    fabric = loop.fabric_for(params.runtime)
    descent = Descent(Line(), params.segtrain["deeplab"], fabric=fabric, steps=6, section="line")
    for _ in range(4):
        descent.update([(torch.tensor([1.0]), torch.tensor([2.0]))])
    save_unfinished(training.unfinished, descent.state() | {"best": BestWeights(None).state()})
    told = []
    assert loop.train(training, fabric, told.append).history == told
    assert [step.number for step in told] == [0, 1, 2, 3, 4, 5]
    assert told[:4] == descent.history
    assert params.segtrain["deeplab"].warmup_steps == 2
    expected = [0.025, *(0.05 * (1 - step / 6) ** params.segtrain["deeplab"].poly_power for step in range(1, 6))]
    assert [step.lr for step in told] == pytest.approx(expected)


MAIN = """
from pathlib import Path
from tests import chain
from wsgcn.params import load_params
from wsgcn.store.paths import Artifacts
from wsgcn.training import loop
from wsgcn.training.check import BestWeights

loop.KEEP_SECONDS = -1

if __name__ == "__main__":
    chain.run_stage({stage!r}, {name!r}, load_params(Path({folder!r}) / "params.yaml"), Artifacts(Path({root!r})))
"""
"""A program that runs one stage, and keeps its training after every update; the processes of a training import it."""


def _sample(item, generator):
    return torch.tensor(item), torch.tensor(2 * item)


@pytest.mark.slow
@each_training
@pytest.mark.parametrize("devices", [1, 2])
def test_kill_in_the_middle_and_again(stage, name, devices, params, made, tmp_path, monkeypatch):
    """A real ``kill -9`` of the process group, three times, with the training kept after every update."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as many threads in every process as here
    params = changed(params, {"runtime.devices": devices})
    chain.run_stage(stage, name, params, made)
    whole = left(made, stage, name)
    other = changed(params, {"runtime.store": str(tmp_path / "other")})
    (tmp_path / "params.yaml").write_text(other.model_dump_json())
    (tmp_path / "main.py").write_text(MAIN.format(stage=stage, name=name, folder=str(tmp_path), root=str(made.root)))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for updates in (2, 4, 6):
        process = subprocess.Popen([sys.executable, tmp_path / "main.py"], env=environment, start_new_session=True)
        while _updates(tmp_path / "other") < updates and process.poll() is None:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run([sys.executable, tmp_path / "main.py"], env=environment, check=True)
    assert left(made, stage, name) == whole
    assert weights(made.checkpoint(stage, name))


def _updates(store):
    for path in store.glob("??/*-unfinished"):
        return len((read_unfinished(path) or {"history": []})["history"])
    return 0
