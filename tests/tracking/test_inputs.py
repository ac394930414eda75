"""What people look at in a run: the losses as table and picture, the dataset, the model's card and signature."""

import json

import mlflow
import numpy as np
import pytest
from PIL import Image

from tests.tracking.conftest import LOSSES, NAMES, NETWORK_NUMBERS, VARIANT, files, history, runs
from wsgcn.store.files import write_table
from wsgcn.store.fingerprints import file_digest
from wsgcn.store.index import ImageRecord, Index, save_index
from wsgcn.tracking.complete import complete_run
from wsgcn.tracking.losses import draw_histograms
from wsgcn.tracking.recorded import RECORDED


@pytest.fixture
def index(artifacts):
    """An index of three photographs in two lists."""
    lists = (("train",), ("train", "val"), ("val",))
    images = tuple(ImageRecord(f"t{number}", f"{number}.jpg", 4, 4, (1,), one) for number, one in enumerate(lists))
    save_index(artifacts.index, Index("pets", "/data/pets", ("background", "cat"), images))
    return artifacts.index


def complete_twice(client, params, artifacts, method):
    """The run, completed again as if it had been interrupted just before its end."""
    complete_run(params, artifacts, method, pytest.fail)
    (run,) = runs(client, params)
    client.set_tag(run.info.run_id, RECORDED, "labels=interrupted")
    complete_run(params, artifacts, method, pytest.fail)
    (run,) = runs(client, params)
    return run


def test_losses_are_a_table_with_every_photograph_once(client, params, artifacts, method):
    client.log_table(complete_twice(client, params, artifacts, method).info.run_id, {"x": [1]}, "mine.json")
    run = complete_twice(client, params, artifacts, method)
    table = client.load_table(run.info.experiment_id, "tables/losses.json", run_ids=[run.info.run_id])
    assert list(table.columns) == ["id", *NAMES]
    assert table["id"].tolist() == [row[0] for row in LOSSES]
    assert table[[*NAMES]].to_numpy() == pytest.approx(np.array([row[1:] for row in LOSSES]))
    shown = json.loads(run.data.tags["mlflow.loggedArtifacts"])
    assert sorted(one["path"] for one in shown) == ["mine.json", "tables/losses.json"]


def test_losses_are_a_picture(client, params, artifacts, method):
    run = complete_twice(client, params, artifacts, method)
    with Image.open(client.download_artifacts(run.info.run_id, "pictures/losses.png")) as picture:
        assert picture.height > 5 * 100


def test_equal_losses_have_a_histogram_too():
    assert draw_histograms({"total": [0.5, 0.5]}).getextrema()[0] != (255, 255)


def test_without_photographs_there_is_no_table(client, params, artifacts, method):
    write_table(artifacts.losses(method.name), ("id", *NAMES), [])
    complete_run(params, artifacts, method, pytest.fail)
    (run,) = runs(client, params)
    assert not {"tables/losses.json", "pictures/losses.png"} & {*files(client, run)}


def test_other_losses_make_another_run(client, params, artifacts, method):
    complete_run(params, artifacts, method, pytest.fail)
    (old,) = runs(client, params)
    # As older versions logged them: a point for each photograph.
    client.log_metric(old.info.run_id, "gcn_total", 3.0, step=3)
    client.set_tag(old.info.run_id, RECORDED, "")
    complete_run(params, artifacts, method, pytest.fail)
    named = {run.info.run_name: run for run in runs(client, params)}
    assert named.keys() == {"WSGCN-I", "WSGCN-I (superseded)"}
    assert named["WSGCN-I"].data.metrics["gcn_total"] == pytest.approx(1.5)


def test_a_network_that_learned_nothing_has_no_curve(client, params, artifacts, method):
    write_table(artifacts.history("cams-train", VARIANT), ("step", "loss", "lr"), [])
    complete_run(params, artifacts, method, pytest.fail)
    (run,) = runs(client, params)
    assert "cams_loss" not in run.data.metrics
    assert len(history(client, run, "affinity_loss")) == 2


def test_the_dataset_is_an_input_once(client, params, artifacts, method, index):
    run = complete_twice(client, params, artifacts, method)
    (one,) = run.inputs.dataset_inputs
    assert (one.dataset.name, one.dataset.source_type) == ("pets", "local")
    assert file_digest(index).startswith(one.dataset.digest)
    assert json.loads(one.dataset.source) == {"uri": "/data/pets"}
    assert json.loads(one.dataset.profile) == {
        "photographs": 3,
        "lists": {"train": 2, "val": 2},
        "classes": ["background", "cat"],
    }
    assert [(tag.key, tag.value) for tag in one.tags] == [("mlflow.data.context", "training")]


def test_the_model_says_what_it_is(client, params, artifacts, method, monkeypatch):
    run = complete_twice(client, params, artifacts, method)
    folder = client.download_artifacts(run.info.run_id, "model")
    model = mlflow.models.Model.load(folder)
    assert model.signature.inputs.to_dict() == [{"type": "string", "name": "photo", "required": True}]
    assert model.metadata == {
        "method": method.name,
        "dataset": params.dataset.name,
        "classes": [*params.dataset.classes],
    }
    assert list(model.load_input_example(folder).columns) == ["photo"]
    with open(f"{folder}/README.md") as file:
        card = file.read()
    assert card.startswith(f"# {method.name} on {params.dataset.name}\n")
    assert f"runs:/{run.info.run_id}/model" in card
    for number, name in enumerate(params.dataset.classes):
        assert f"| {number} | {name} |" in card
    for name, value in NETWORK_NUMBERS.items():
        assert f"| {name} | {value:.4g} |" in card
