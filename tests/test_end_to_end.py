"""The real parameters, shrunk: no mask is looked at, a kill costs nothing, DVC runs what changed and no more."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests import chain
from tests.conftest import ROOT, changed, real_content
from wsgcn.dataset.base import Dataset
from wsgcn.dataset.demo import DEVKIT
from wsgcn.params import load_params, parse_params
from wsgcn.store.index import load_index
from wsgcn.store.label_maps import load_label_map
from wsgcn.store.paths import Artifacts

METHODS = load_params(ROOT / "params.yaml").methods


def digests(artifacts: Artifacts) -> dict[str, str]:
    """The sha256 of every pseudo label."""
    paths = sorted((artifacts.root / "crf").rglob("*.png"))
    return {str(path.relative_to(artifacts.root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def until(condition, seconds: float, what: str) -> None:
    """Wait for something to come true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen"
        time.sleep(0.01)


# ---------------------------------------------------------------- no mask is looked at


def test_without_any_mask_the_same_pseudo_labels_come_from_scratch(tmp_path):
    content = chain.shrunk(real_content(), tmp_path / "store")
    first = Artifacts(tmp_path / "first")
    chain.run_stages(chain.UP_TO_CRF, parse_params(content, "test"), first)
    before = digests(first)
    assert len(before) == len(METHODS) * content["dataset"]["train_images"]
    for image in load_index(first.index).split("train"):
        for method in METHODS:
            labels = load_label_map(first.label_map("crf", method, image.id))
            assert labels.shape == (image.height, image.width)

    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(first.index.parent / DEVKIT, elsewhere)
    for mask in (elsewhere / "SegmentationClass").iterdir():
        mask.unlink()
    names = {key: content["dataset"][key] for key in Dataset.model_fields}
    content["dataset"] = names | {"kind": "voc", "root": str(elsewhere)}  # the demo would draw its masks again
    content["runtime"]["store"] = str(tmp_path / "another store")
    second = Artifacts(tmp_path / "second")
    chain.run_stages(chain.UP_TO_CRF, parse_params(content, "test"), second)
    assert not list((elsewhere / "SegmentationClass").iterdir())
    assert digests(second) == before


# ---------------------------------------------------------------- a kill costs nothing


def _children(pid: int) -> set[int]:
    """Processes that descend from one, by the system's table."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(stat.parent.name)] = int(fields[1])
    found = {pid}
    while more := {one for one, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the table of processes is Linux's")
def test_killed_stage_goes_on_where_it_stopped(made, tmp_path, tiny_params, tiny_index):
    params = changed(
        tiny_params,
        {"propagate.gcn-i.steps": 400, "runtime.workers": 2, "tracking.uri": "sqlite:////proc/no/mlflow.db"},
    )
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params.model_dump(mode="json")))
    chain.run_stage("propagate", "WSGCN-I", changed(params, {"runtime.workers": 1}), made)
    folder, store = made.folder("propagate", "WSGCN-I"), Path(params.runtime.store)
    expected = chain.contents(folder)
    shutil.rmtree(folder)
    shutil.rmtree(store)

    command = [sys.executable, "-m", "wsgcn", "propagate", "--variant", "I"]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as running:
        until(lambda: running.poll() is not None or list(store.glob("??/*.json")), 120, "a first file")
        assert running.poll() is None, running.stderr.read()
        workers = _children(running.pid)
        running.send_signal(signal.SIGKILL)
        until(lambda: running.poll() is not None, 20, "the end")
        assert len(workers) >= 2
        until(lambda: not any(_runs(pid) for pid in workers), 20, "the end of every worker")
    kept = {path: path.with_suffix("").stat().st_mtime_ns for path in store.glob("??/*.json")}
    assert 0 < len(kept) < len(expected)
    assert {path.with_suffix("").read_bytes() for path in kept} <= set(expected.values())
    shutil.rmtree(folder)  # as DVC does before it runs a stage

    again = subprocess.run(command, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert chain.contents(folder) == expected
    assert {path: path.with_suffix("").stat().st_mtime_ns for path in kept} == kept, "what was done was done again"
    assert made.losses("WSGCN-I").read_text().count("\n") == 1 + len(expected)


# ---------------------------------------------------------------- DVC agrees


@pytest.fixture
def clone(tmp_path):
    """The repository in another folder as it is now, changes included, with parameters of seconds."""
    folder = tmp_path / "clone"
    (tmp_path / "gitconfig").write_text("[safe]\n\tdirectory = *\n")  # the repository may be another user's
    env = os.environ | {"GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig")}
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True, env=env)
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, env=env, check=True, capture_output=True, text=True,
    )  # fmt: skip
    for name in listed.stdout.splitlines():
        (folder / name).unlink(missing_ok=True)
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    content = chain.shrunk(real_content())
    (folder / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return folder


def repro(folder: Path) -> tuple[set[str], str]:
    """The members of stages that ``dvc repro`` ran, and all that it printed."""
    bin_folder = str(Path(sys.executable).parent)
    env = os.environ | {
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "repro"],
        cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "MLflow store" not in done.stderr  # a warning that it cannot be used
    return set(re.findall(r"Running stage '([^']+)'", done.stdout)), done.stdout


@pytest.mark.slow
def test_repro_makes_everything_once_and_later_only_what_changed(clone):
    members = {"@".join(filter(None, (entry.stage, entry.name))) for entry in chain.entries()}
    ran, shown = repro(clone)
    assert ran == members
    for method in METHODS:
        assert method in shown
        assert Artifacts(clone / "artifacts").scores("evaluate", method).exists()
    assert (clone / "artifacts" / "report" / "index.html").exists()
    assert (clone / "mlflow.db").exists()

    assert repro(clone)[0] == {"code"}  # it looks, and there is nothing to do

    params = clone / "params.yaml"
    content = yaml.safe_load(params.read_text())
    content["crf"]["gcn"]["bilateral_compat"] = 8
    params.write_text(yaml.safe_dump(content, sort_keys=False))
    ran, _ = repro(clone)
    again = {
        f"{stage}@{method}"
        for stage in ("crf", "evaluate-labels", "segtrain", "evaluate")
        for method in ("WSGCN-I", "WSGCN-P")
    }
    downstream = {"code", "report", *again}
    # Where other numbers give the same labels, DVC sees that and goes no further.
    assert {"crf@WSGCN-I", "crf@WSGCN-P"} <= ran <= downstream

    content["crf"]["gcn"]["iterations"] = 0
    params.write_text(yaml.safe_dump(content, sort_keys=False))
    assert repro(clone)[0] == downstream

    content["runtime"]["workers"] = 2
    content["tracking"]["experiment"] = "other"
    params.write_text(yaml.safe_dump(content, sort_keys=False))
    assert repro(clone)[0] == {"code"}
