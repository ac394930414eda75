"""Trainings that torchrun or SLURM starts on several machines, here two processes with gloo on one."""

from __future__ import annotations

import ast
import os
import socket
import subprocess
import sys
from contextlib import ExitStack

import pytest
import torch
import yaml

from tests import chain
from tests.conftest import ROOT, changed
from tests.training.lines import losses, short, weights
from wsgcn.errors import UsageError
from wsgcn.training.launched import launched_fabric, launched_processes, trained_together
from wsgcn.training.loop import fabric_for

TORCHRUN = {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}
SRUN = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_NTASKS": "4", "SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "2",
        "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_JOB_ID": "77",
        "SLURM_NODELIST": "127.0.0.1"}  # fmt: skip


def started(monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_a_job_of_slurm_without_srun_is_one_process(monkeypatch, tiny_params):
    started(monkeypatch, SRUN)
    monkeypatch.delenv("SLURM_STEP_NUM_TASKS")
    assert launched_processes() == 1
    with trained_together(tiny_params.runtime) as first:
        assert first
    assert fabric_for(tiny_params.runtime).world_size == 1


@pytest.mark.parametrize("variables", [TORCHRUN, SRUN], ids=["torchrun", "srun"])
def test_the_launchers_processes_are_the_devices(monkeypatch, tiny_params, variables):
    started(monkeypatch, variables)
    assert launched_processes() == 4
    fabric = fabric_for(tiny_params.runtime.model_copy(update={"devices": 4}))
    assert (fabric.world_size, fabric.strategy.num_nodes, fabric.global_rank) == (4, 2, 0)
    assert fabric.strategy.cluster_environment.creates_processes_externally


@pytest.mark.parametrize(
    ("variables", "devices", "device", "message"),
    [
        (TORCHRUN, 1, "cpu", "4 processes were started to train together, and runtime.devices is 1: make it 4"),
        (SRUN | {"SLURM_NTASKS_PER_NODE": "3"}, 4, "cpu", "start them with --ntasks-per-node"),
    ],
)
def test_what_does_not_fit_is_one_line(monkeypatch, tiny_params, variables, devices, device, message):
    started(monkeypatch, variables)
    with pytest.raises(UsageError, match=message):
        launched_fabric(tiny_params.runtime.model_copy(update={"devices": devices}), torch.device(device), "32-true")


# ---------------------------------------------------------------- really


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def by_torchrun(machine: int, port: int) -> tuple[list[str], dict[str, str]]:
    """The beginning of the command of one of two machines of one process each, and its variables."""
    run = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1", f"--node-rank={machine}"]
    return [*run, "--master-addr=127.0.0.1", f"--master-port={port}", "--no-python"], {}


def by_srun(machine: int, port: int) -> tuple[list[str], dict[str, str]]:
    """What srun would give to processes of the same kind."""
    size = {"SLURM_STEP_NUM_TASKS": "2", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "1"}
    place = {"SLURM_PROCID": f"{machine}", "SLURM_NODEID": f"{machine}", "MASTER_PORT": f"{port}"}
    return [], SRUN | size | place


def on_two_machines(launcher, folder, *words: str) -> list[tuple[int, str]]:
    """Exit code and output of Python with these words on each machine."""
    port, processes = _free_port(), []
    with ExitStack() as stack:
        for machine in range(2):
            command, variables = launcher(machine, port)
            env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"} | variables
            process = subprocess.Popen(
                [*command, sys.executable, *words],
                cwd=folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            stack.callback(process.kill)
            processes.append(process)
        said = [process.communicate(timeout=1200)[0] for process in processes]
    return [(process.returncode, text) for process, text in zip(processes, said, strict=True)]


TWO = """
from tests.training.lines import short
print("came to", short(2))
"""


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [by_torchrun, by_srun])
def test_two_machines_train_as_one_process_with_the_whole_batch(launcher, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (first, said), (second, other) = on_two_machines(launcher, tmp_path, "-c", TWO)
    assert (first, second) == (0, 0), f"{said}\n{other}"
    assert "came to ([], [])" in other
    curve, numbers = ast.literal_eval(said.partition("came to ")[2].splitlines()[0])
    alone = short(1)
    assert len(curve) == 12
    assert curve == pytest.approx(alone[0], rel=1e-5)
    assert numbers == pytest.approx(alone[1], rel=1e-5)


@pytest.fixture
def shared(made, tiny_params, monkeypatch):
    """A project for two devices that has run up to the labels, in the folder we stand in; as parameters."""
    store = str(made.root.parent / "store")
    params = changed(tiny_params, {"runtime.devices": 2, "runtime.store": store, "segtrain.deeplab.steps": 3})
    monkeypatch.chdir(made.root.parent)
    (made.root.parent / "params.yaml").write_text(yaml.safe_dump(params.model_dump(mode="json"), sort_keys=False))
    return params


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [by_torchrun, by_srun])
@pytest.mark.parametrize(("stage", "name"), [("segtrain", "WSGCN-I"), ("affinity-train", "I")])
def test_two_machines_train_what_two_devices_of_one_do(shared, made, launcher, stage, name, tmp_path):
    option = "--method" if stage == "segtrain" else "--variant"
    (first, said), (second, other) = on_two_machines(launcher, made.root.parent, "-m", "wsgcn", stage, option, name)
    assert (first, second) == (0, 0), f"{said}\n{other}"
    assert f"artifacts/{stage}/{name} is complete" in said
    assert "complete" not in other
    curve, net = losses(made, stage, name), weights(made.checkpoint(stage, name))
    elsewhere = changed(shared, {"runtime.store": str(tmp_path / "another store")})
    chain.run_stage(stage, name, elsewhere, made)
    assert losses(made, stage, name) == curve
    found = weights(made.checkpoint(stage, name))
    assert all(torch.equal(one, found[key]) for key, one in net.items())


@pytest.mark.slow
def test_what_they_trained_is_taken_by_a_process_alone(shared, made):
    (first, said), _ = on_two_machines(by_torchrun, made.root.parent, "-m", "wsgcn", "cams-train", "--variant", "I")
    assert first == 0, said
    before = made.checkpoint("cams-train", "I").stat().st_ino
    chain.run_stage("cams-train", "I", shared, made)
    assert made.checkpoint("cams-train", "I").stat().st_ino == before


@pytest.mark.slow
def test_a_wrong_number_of_devices_is_one_line_on_each(shared, made):
    text = (made.root.parent / "params.yaml").read_text()
    (made.root.parent / "params.yaml").write_text(text.replace("devices: 2", "devices: 1"))
    for code, said in on_two_machines(by_srun, made.root.parent, "-m", "wsgcn", "segtrain", "--method", "WSGCN-I"):
        assert code == 2
        assert said.startswith("error: 2 processes were started to train together, and runtime.devices is 1: make it 2")
