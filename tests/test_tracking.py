"""MLflow's record: complete, without anything twice, resumed, and never in the way."""

import json
import os
import subprocess
import sys
import time

import mlflow
import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import ROOT, changed, real_content
from wsgcn import tracking
from wsgcn.nets.deeplab import build_deeplab
from wsgcn.params import parse_params
from wsgcn.record import Recorded, differing_only_in, flat_params, git_tags
from wsgcn.store.checkpoints import save_checkpoint
from wsgcn.store.files import write_json, write_table
from wsgcn.store.paths import Artifacts
from wsgcn.vocabulary import METHODS

METHOD = METHODS["WSGCN-I"]
NAMES = ("total", "fg", "bg", "ent", "lap")
LOSSES = [[f"t{number}", *(number + place / 10 for place in range(5))] for number in range(4)]
CURVE = [(10, 1.5, 0.02), (20, 1.25, 0.01)]
METRICS = {
    "method": "WSGCN-I",
    "classes": ["background", "cat", "b@d..:/name/"],
    "cam_miou": 0.25,
    "pseudo_miou": 0.5,
    "pseudo_miou_crf": 0.625,
    "seg_miou": 0.375,
    "pseudo_iou": {"background": 0.75, "cat": 0.5, "b@d..:/name/": None},
    "seg_iou": {"background": 0.75, "cat": None, "b@d..:/name/": 0.125},
    "seconds_per_image": {"propagate": 0.5, "crf": 0.25},
    "images": 4,
}
SETTINGS = {"backbone": "resnet-small", "output_stride": 8, "classes": 3, "dilations": [1, 2]}


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """An SQLite store without runs: MLflow takes seconds to make one."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    tracking._connect(f"sqlite:///{path}")
    return path


@pytest.fixture
def project(tmp_path, monkeypatch, empty_store):
    """A project folder with a store; it is the working directory."""
    (tmp_path / "mlflow.db").write_bytes(empty_store.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tracking, "_away", set())
    return tmp_path


@pytest.fixture
def params(project):
    # MLflow keeps a store open for each URI: a relative one would be the first test's for ever.
    real = parse_params(real_content(), "params.yaml")
    return changed(real, {"tracking.uri": f"sqlite:///{project / 'mlflow.db'}"})


@pytest.fixture
def artifacts(project):
    """What the stages leave of one method, with a tiny network."""
    artifacts = Artifacts(project / "artifacts")
    write_table(artifacts.losses(METHOD.name), ("id", *NAMES), LOSSES)
    write_table(artifacts.history("segtrain", METHOD.name), ("step", "loss", "lr"), CURVE)
    torch.manual_seed(0)
    save_checkpoint(artifacts.checkpoint("segtrain", METHOD.name), "segtrain", SETTINGS, build_deeplab(SETTINGS, None))
    write_json(artifacts.metrics(METHOD.name), METRICS)
    folder = artifacts.folder("evaluate", METHOD.name)
    write_table(folder / "per_class.csv", ("class", "pseudo_iou"), [("cat", 0.5)])
    for name in ("t0", "val/v0"):
        path = folder / "panels" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(path)
    return artifacts


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def client(params):
    return tracking._connect(params.tracking.uri)


def runs(client, params):
    experiment = client.get_experiment_by_name(params.tracking.experiment)
    return client.search_runs([experiment.experiment_id]) if experiment else []


def history(client, run, name):
    return [(one.step, one.value) for one in client.get_metric_history(run.info.run_id, name)]


def files(client, run, folder=None):
    found = []
    for one in client.list_artifacts(run.info.run_id, folder):
        found += files(client, run, one.path) if one.is_dir else [one.path]
    return found


def log_all(log):
    for position, row in enumerate(LOSSES):
        log({f"gcn_{name}": value for name, value in zip(NAMES, row[1:])}, position)


def check_complete(client, run):
    for place, name in enumerate(NAMES):
        assert sorted(history(client, run, f"gcn_{name}")) == [
            (position, row[1 + place]) for position, row in enumerate(LOSSES)
        ]
    assert sorted(history(client, run, "seg_loss")) == [(10, 1.5), (20, 1.25)]
    assert sorted(history(client, run, "seg_lr")) == [(10, 0.02), (20, 0.01)]
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "WSGCN-I"
    numbers = {name: run.data.metrics[name] for name in run.data.metrics if not name.startswith(("gcn_", "seg_l"))}
    assert numbers == {
        "cam_miou": 0.25,
        "pseudo_miou": 0.5,
        "pseudo_miou_crf": 0.625,
        "seg_miou": 0.375,
        "pseudo_iou/background": 0.75,
        "pseudo_iou/cat": 0.5,
        "seg_iou/background": 0.75,
        "seg_iou/b_d____name_": 0.125,
        "seconds_per_image/propagate": 0.5,
        "seconds_per_image/crf": 0.25,
        "images": 4,
    }


# ---------------------------------------------------------------- the record


def test_record_is_complete(client, params, artifacts, warnings):
    tracking.record(params, artifacts, METHOD, warnings.append)
    (run,) = runs(client, params)
    check_complete(client, run)
    assert run.data.params["propagate.entropy_weight"] == "10.0"
    assert run.data.params["propagate.objective"] == "reference"
    assert run.data.params["runtime.seed"] == "42"
    assert run.data.params["cams.I.weights"] == "null"
    assert not [name for name in run.data.params if name.startswith(("tracking", "runtime.w"))]
    found = files(client, run)
    assert {"metrics.json", "panels/t0.png", "panels/val/v0.png", "tables/WSGCN-I.losses.csv"} <= set(found)
    assert "model/MLmodel" in found
    assert warnings == []


def test_nothing_is_there_twice(client, params, artifacts, warnings):
    for _ in range(2):
        tracking.record(params, artifacts, METHOD, warnings.append)
    (run,) = runs(client, params)
    client.set_tag(run.info.run_id, tracking.RECORDED, "something else")
    tracking.record(params, artifacts, METHOD, warnings.append)
    (run,) = runs(client, params)
    check_complete(client, run)
    assert warnings == []


def test_numbers_that_changed_replace_the_older(client, params, artifacts, warnings):
    tracking.record(params, artifacts, METHOD, warnings.append)
    write_json(artifacts.metrics(METHOD.name), METRICS | {"seg_miou": 0.25})
    tracking.record(params, artifacts, METHOD, warnings.append)
    (run,) = runs(client, params)
    assert run.data.metrics["seg_miou"] == 0.25


def test_curves_that_changed_make_a_new_run(client, params, artifacts, warnings):
    tracking.record(params, artifacts, METHOD, warnings.append)
    (old,) = runs(client, params)
    client.log_metric(old.info.run_id, "gcn_fg", 99.0, step=77)
    client.set_tag(old.info.run_id, tracking.RECORDED, "something else")
    tracking.record(params, artifacts, METHOD, warnings.append)
    named = {run.info.run_name: run for run in runs(client, params)}
    assert named.keys() == {"WSGCN-I", "WSGCN-I (superseded)"}
    check_complete(client, named["WSGCN-I"])
    tracking.record(params, artifacts, METHOD, warnings.append)
    assert len(runs(client, params)) == 2


def test_complete_runs_are_found_again_and_the_superseded_are_not(client, params, artifacts, warnings):
    tracking.record(params, artifacts, METHOD, warnings.append)
    write_table(artifacts.losses(METHOD.name), ["id", *NAMES], [["t0", 9, 9, 9, 9, 9]])
    tracking.record(params, artifacts, METHOD, warnings.append)  # other curves: the first run is set aside
    with tracking.live(params, METHODS["PSA"], warnings.append) as log:
        log({"seg_loss": 1.0}, 10)  # a run that is not complete
    (found,) = tracking.recorded(params, warnings.append)
    assert found.method == "WSGCN-I"
    assert found.params == flat_params(params)
    assert found.metrics["pseudo_miou_crf"] == 0.625
    assert not warnings


def test_run_of_an_experiment_has_its_name(client, params, artifacts, warnings, monkeypatch):
    monkeypatch.setenv("DVC_EXP_NAME", "without-entropy")
    tracking.record(params, artifacts, METHOD, warnings.append)
    (run,) = runs(client, params)
    assert run.info.run_name == "WSGCN-I (without-entropy)"


def test_runs_are_alike_but_for_what_is_named(params):
    without = changed(params, {"propagate.entropy_weight": 0.0, "segtrain.lr": 0.5})
    other = changed(params, {"propagate.steps": 7})
    runs = [Recorded("WSGCN-I", flat_params(one), {}) for one in (params, without, other)]
    assert differing_only_in(runs, params, "propagate.entropy_weight", "segtrain.") == runs[:2]
    assert differing_only_in(runs, params, "propagate.entropy_weight") == runs[:1]


def test_tags_and_hash(client, params, artifacts, warnings):
    others = {
        "runtime.device": changed(params, {"runtime.device": "cpu", "runtime.workers": 3}),
        "propagate.lr": changed(params, {"propagate.lr": 0.5}),
        "runtime.seed": changed(params, {"runtime.seed": 43}),
    }
    for one in (params, *others.values()):
        with tracking.live(one, METHOD, warnings.append) as log:
            log({"gcn_fg": 1.0}, 0)
    hashes = [run.data.tags["parameters"] for run in runs(client, params)]
    assert len(hashes) == len(set(hashes)) == 3
    tags = runs(client, params)[0].data.tags
    wanted = {"method": "WSGCN-I", "variant": "I", "propagation": "gcn", "dataset": params.dataset.name}
    assert tags.items() >= wanted.items()
    assert "git_commit" not in tags  # the project is in no repository
    assert warnings == []


def test_commit_is_tagged(project):
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    commit = git_tags()["git_commit"]
    assert len(commit) == 40


def test_missing_file_is_named(client, params, artifacts, warnings):
    artifacts.checkpoint("segtrain", METHOD.name).unlink()
    tracking.record(params, artifacts, METHOD, warnings.append)
    (run,) = runs(client, params)
    check_complete(client, run)
    assert len(warnings) == 1
    assert "checkpoint.pt is missing" in warnings[0]


def test_random_walk_has_no_curves_of_the_gcn(client, params, artifacts, warnings):
    method = METHODS["IRNet"]
    write_json(artifacts.metrics(method.name), METRICS)
    tracking.record(params, artifacts, method, warnings.append)
    (run,) = runs(client, params)
    assert run.info.run_name == "IRNet"
    assert not [name for name in run.data.metrics if name.startswith("gcn_")]
    assert not [one for one in warnings if "losses.csv" in one]


# ---------------------------------------------------------------- live


def test_live_points_arrive_while_the_stage_works(client, params, warnings, monkeypatch):
    monkeypatch.setattr(tracking, "SEND_EVERY", 0.05)
    with tracking.live(params, METHOD, warnings.append) as log:
        log({"seg_loss": 2.0}, 10)
        deadline = time.monotonic() + 20
        while not (found := runs(client, params)) or "seg_loss" not in found[0].data.metrics:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert found[0].info.status == "RUNNING"
    assert runs(client, params)[0].info.status == "FINISHED"


def test_record_resumes_the_live_run(client, params, artifacts, warnings):
    with tracking.live(params, METHOD, warnings.append) as log:
        log_all(log)
    with tracking.live(params, METHOD, warnings.append) as log:
        log_all(log)
        log({"seg_loss": 1.5, "seg_lr": 0.02}, 10)
    tracking.record(params, artifacts, METHOD, warnings.append)
    (run,) = runs(client, params)
    check_complete(client, run)
    assert warnings == []


def test_failing_stage_keeps_its_points(client, params, warnings):
    def stage():
        with tracking.live(params, METHOD, warnings.append) as log:
            log({"seg_loss": 1.5}, 10)
            raise KeyError

    with pytest.raises(KeyError):
        stage()
    (run,) = runs(client, params)
    assert run.info.status == "FAILED"
    assert history(client, run, "seg_loss") == [(10, 1.5)]


def test_many_points(client, params, warnings):
    with tracking.live(params, METHOD, warnings.append) as log:
        for step in range(2500):
            log({"seg_loss": float(step)}, step)
    (run,) = runs(client, params)
    assert len(history(client, run, "seg_loss")) == 2500


def test_stage_without_points_makes_no_run(client, params, warnings):
    with tracking.live(params, METHODS["PSA"], warnings.append):
        pass
    assert runs(client, params) == []


# ---------------------------------------------------------------- the store is away


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "sqlite:////proc/no/mlflow.db", "nonsense://x"])
def test_store_that_is_away_is_one_warning(params, artifacts, warnings, uri):
    params = changed(params, {"tracking.uri": uri})
    start = time.monotonic()
    with tracking.live(params, METHOD, warnings.append) as log:
        log_all(log)
    for method in METHODS.values():
        tracking.record(params, artifacts, method, warnings.append)
    assert len(warnings) == 1
    assert uri in warnings[0]
    assert "\n" not in warnings[0]
    assert time.monotonic() - start < 20


def test_store_that_is_no_database_is_one_warning(project, params, artifacts, warnings):
    (project / "broken.db").write_text("no database")
    tracking.record(
        changed(params, {"tracking.uri": f"sqlite:///{project / 'broken.db'}"}), artifacts, METHOD, warnings.append
    )
    assert len(warnings) == 1


# ---------------------------------------------------------------- the model


def test_model_predicts_class_maps(client, params, artifacts, warnings, project, monkeypatch):
    tracking.record(params, artifacts, METHOD, warnings.append)
    (run,) = runs(client, params)
    folder = client.download_artifacts(run.info.run_id, "model")
    names = [name for _, _, names in os.walk(folder) for name in names]
    assert not [name for name in names if name.endswith((".pkl", ".pickle"))]
    assert "torch==" in (project / folder / "requirements.txt").read_text()
    Image.fromarray(np.full((40, 56, 3), 90, dtype=np.uint8)).save("photo.jpg")
    monkeypatch.setattr(sys, "path", list(sys.path))  # MLflow puts the model's code in front
    labels = mlflow.pyfunc.load_model(folder).predict(["photo.jpg", "photo.jpg"])
    assert [one.shape for one in labels] == [(40, 56)] * 2
    assert labels[0].dtype == np.uint8
    assert labels[0].max() < 3


# ---------------------------------------------------------------- quiet


def test_command_prints_nothing_and_sends_nothing(project, artifacts):
    """In a fresh process with a fresh store, as a user has it, after one that was killed while it made the store."""
    code = (
        "import json, os; from pathlib import Path\n"
        "from wsgcn import tracking; from wsgcn.artifacts import Artifacts; from wsgcn.vocabulary import METHODS\n"
        "from wsgcn.params import load_params\n"
        f"params = load_params(Path({str(ROOT / 'params.yaml')!r}))\n"
        "with tracking.live(params, METHODS['WSGCN-I'], print) as log:\n"
        "    log({'gcn_fg': 0.1}, 0)\n"
        "tracking.record(params, Artifacts(), METHODS['WSGCN-I'], print)\n"
        "print(json.dumps(os.environ['MLFLOW_DISABLE_TELEMETRY']))\n"
    )
    (project / "mlflow.db").unlink()
    (project / "tmp").mkdir()
    killed = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(project / "tmp")})
    deadline = time.monotonic() + 30
    while not list(project.glob("tmp/*/mlflow.db")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    killed.kill()
    killed.wait()
    assert not (project / "mlflow.db").exists()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == "true"
    assert done.stderr == ""
    assert (project / "mlruns").is_dir()
