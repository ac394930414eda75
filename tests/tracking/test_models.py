"""Networks fetched from MLflow by their address; what predicts from them and what MLflow serves agree."""

import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas
import pytest
import yaml
from PIL import Image

from tests.tracking.conftest import runs
from wsgcn.errors import DataError
from wsgcn.predict import model_of, predict_photographs
from wsgcn.store.label_maps import load_label_map
from wsgcn.tracking.complete import complete_run
from wsgcn.tracking.models import fetch_model


@pytest.fixture
def address(client, params, artifacts, method, warnings):
    complete_run(params, artifacts, method, warnings.append)
    (run,) = runs(client, params)
    return f"runs:/{run.info.run_id}/model"


def test_predict_and_the_served_model_label_alike(params, address, tmp_path, monkeypatch):
    pixels = np.random.default_rng(2).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("photo.png")
    checkpoint, settings = fetch_model(address, params.tracking.uri, tmp_path / "copy")
    assert settings["classes"] == list(params.dataset.classes)
    model = model_of(checkpoint, settings["classes"][:3], settings, crf=True)  # as many as the small network has
    predict_photographs(model, [Path("photo.png")], tmp_path / "out", "cpu", 1, False)
    monkeypatch.setattr(sys, "path", list(sys.path))  # MLflow puts the model's code in front
    mlflow.set_tracking_uri(params.tracking.uri)
    (served,) = mlflow.pyfunc.load_model(address).predict(pandas.DataFrame({"photo": ["photo.png"]}))
    assert (load_label_map(tmp_path / "out" / "labels" / "photo.png") == served).all()


def test_a_store_with_a_broken_address_is_one_line(tmp_path):
    with pytest.raises(DataError, match="runs:/1/model"):
        fetch_model("runs:/1/model", "http://[bad", tmp_path)


def test_what_is_no_model_of_ours_is_one_line(client, params, address, tmp_path):
    for wrong in ("runs:/0123456789abcdef0123456789abcdef/model", "models:/none/1", "runs:/x"):
        with pytest.raises(DataError, match="cannot be taken from") as caught:
            fetch_model(wrong, params.tracking.uri, tmp_path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda flavour: flavour.update(loader_module="mlflow.sklearn"), "a model of mlflow.sklearn, not of wsgcn"),
        (lambda flavour: flavour["config"].pop("classes"), "older version, without its classes"),
        (lambda flavour: flavour.pop("data"), "no model of wsgcn"),
    ],
)
def test_a_model_of_others_is_refused(client, params, address, tmp_path, change, message):
    folder = tmp_path / "model"
    fetch_model(address, params.tracking.uri, folder)
    (file,) = folder.rglob("MLmodel")
    content = yaml.safe_load(file.read_text())
    change(content["flavors"]["python_function"])
    file.write_text(yaml.safe_dump(content))
    (run,) = runs(client, params)
    client.log_artifacts(run.info.run_id, str(file.parent), "other")
    with pytest.raises(DataError, match=message):
        fetch_model(address.replace("/model", "/other"), params.tracking.uri, tmp_path / "again")
