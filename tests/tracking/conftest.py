"""A project with an empty MLflow store, and what the stages leave on disk of one method."""

from statistics import fmean

import pytest
import torch
from PIL import Image

from tests.conftest import changed
from wsgcn.nets.deeplab import build_deeplab
from wsgcn.store.checkpoints import save_checkpoint
from wsgcn.store.files import write_json, write_table
from wsgcn.store.paths import Artifacts
from wsgcn.tracking import connection

METHOD, VARIANT = "WSGCN-I", "I"
NAMES = ("total", "fg", "bg", "ent", "lap")
LOSSES = [[f"t{number}", *(number + place / 10 for place in range(5))] for number in range(4)]
CURVE = [(10, 1.5, 0.02), (20, 1.25, 0.01)]
EARLIER = {"cams": [(0, 0.75, 0.1), (1, 0.5, 0.05)], "affinity": [(0, 0.625, 0.1), (1, 0.375, 0.05)]}
LABEL_SCORES = {
    "method": METHOD,
    "classes": ["background", "cat", "b@d..:/name/"],
    "cam_miou": 0.25,
    "pseudo_miou": 0.5,
    "pseudo_miou_crf": 0.625,
    "pseudo_iou": {"background": 0.75, "cat": 0.5, "b@d..:/name/": None},
    "seconds_per_image": {"propagate": 0.5, "crf": 0.25},
    "images": 4,
}
NETWORK_SCORES = {
    "method": METHOD,
    "classes": ["background", "cat", "b@d..:/name/"],
    "val_images": 2,
    "seg_miou": 0.375,
    "seg_iou": {"background": 0.75, "cat": None, "b@d..:/name/": 0.125},
}
LABEL_NUMBERS = {
    "cam_miou": 0.25,
    "pseudo_miou": 0.5,
    "pseudo_miou_crf": 0.625,
    "pseudo_iou/background": 0.75,
    "pseudo_iou/cat": 0.5,
    "seconds_per_image/propagate": 0.5,
    "seconds_per_image/crf": 0.25,
    "images": 4,
}
NETWORK_NUMBERS = {
    "val_images": 2,
    "seg_miou": 0.375,
    "seg_iou/background": 0.75,
    "seg_iou/b_d____name_": 0.125,
}
SETTINGS = {"backbone": "resnet-small", "output_stride": 8, "classes": 3, "dilations": [1, 2]}


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """An SQLite store without runs: MLflow takes seconds to make one."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    connection.connect(f"sqlite:///{path}")
    return path


@pytest.fixture
def project(tmp_path, monkeypatch, empty_store):
    """A project folder with a store; it is the working directory."""
    (tmp_path / "mlflow.db").write_bytes(empty_store.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(connection, "_away", set())
    return tmp_path


@pytest.fixture
def params(project, tiny_params):
    # MLflow keeps a store open for each URI: a relative one would be the first test's for ever.
    return changed(tiny_params, {"tracking.uri": f"sqlite:///{project / 'mlflow.db'}"})


@pytest.fixture
def method(params):
    return params.method(METHOD)


@pytest.fixture
def artifacts(project):
    """What the stages leave of one method, with a tiny network."""
    artifacts = Artifacts(project / "artifacts")
    write_labels(artifacts)
    write_network(artifacts)
    return artifacts


def write_labels(artifacts, name=METHOD):
    """What ``propagate`` and ``evaluate-labels`` leave."""
    for stage, curve in EARLIER.items():
        write_table(artifacts.history(f"{stage}-train", VARIANT), ("step", "loss", "lr"), curve)
    write_table(artifacts.losses(name), ("id", *NAMES), LOSSES)
    folder = artifacts.folder("evaluate-labels", name)
    write_json(folder / "scores.json", LABEL_SCORES)
    write_table(folder / "per_class.csv", ("class", "pseudo_iou"), [("cat", 0.5)])
    write_panel(folder / "panels" / "t0.png")


def write_network(artifacts, name=METHOD):
    """What ``segtrain`` and ``evaluate`` leave."""
    write_table(artifacts.history("segtrain", name), ("step", "loss", "lr"), CURVE)
    torch.manual_seed(0)
    save_checkpoint(artifacts.checkpoint("segtrain", name), "segtrain", SETTINGS, build_deeplab(SETTINGS, None))
    folder = artifacts.folder("evaluate", name)
    write_json(folder / "scores.json", NETWORK_SCORES)
    write_table(folder / "per_class.csv", ("class", "seg_iou"), [("cat", 0.25)])
    write_panel(folder / "panels" / "v0.png")


def write_panel(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8)).save(path)


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def client(params):
    return connection.connect(params.tracking.uri)


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
    """The losses of every image, as ``propagate`` sends them."""
    for position, row in enumerate(LOSSES):
        log({f"gcn_{name}": value for name, value in zip(NAMES, row[1:])}, position)


def check_labels(client, run):
    """The run holds the curves of the trainings, each point once, and the means of the losses."""
    for stage, curve in EARLIER.items():
        assert sorted(history(client, run, f"{stage}_loss")) == [(step, loss) for step, loss, _ in curve]
        assert sorted(history(client, run, f"{stage}_lr")) == [(step, lr) for step, _, lr in curve]
    for place, name in enumerate(NAMES):
        assert history(client, run, f"gcn_{name}") == [(0, pytest.approx(fmean(row[1 + place] for row in LOSSES)))]


def check_complete(client, run):
    """The run holds both parts, and nothing twice."""
    check_labels(client, run)
    assert sorted(history(client, run, "seg_loss")) == [(10, 1.5), (20, 1.25)]
    assert sorted(history(client, run, "seg_lr")) == [(10, 0.02), (20, 0.01)]
    assert run.info.status == "FINISHED"
    assert run.info.run_name == METHOD
    assert numbers_of(run) == LABEL_NUMBERS | NETWORK_NUMBERS


def numbers_of(run):
    """The numbers that are no curves."""
    curves = ("gcn_", "live_gcn_", "cams_", "affinity_", "seg_l")
    return {name: run.data.metrics[name] for name in run.data.metrics if not name.startswith(curves)}
