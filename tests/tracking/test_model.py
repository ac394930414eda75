"""The network as a model of MLflow: plain code and a checkpoint, loaded without anything else of the project."""

import ast
import base64
import os
import pickle
import re
import subprocess
import sys

import mlflow
import numpy as np
import pandas
import pytest
import torch
from PIL import Image

from tests.tracking.conftest import SETTINGS, runs
from wsgcn.errors import DataError
from wsgcn.nets.deeplab import build_deeplab
from wsgcn.store.code import closure, imported_names
from wsgcn.tracking.complete import complete_run
from wsgcn.tracking.model import Segmenter
from wsgcn.tracking.packed import MODEL_NEEDS

MODULE = "wsgcn.tracking.model"


def test_model_predicts_class_maps(client, params, artifacts, method, warnings, project, monkeypatch):
    complete_run(params, artifacts, method, warnings.append)
    (run,) = runs(client, params)
    folder = client.download_artifacts(run.info.run_id, "model")
    names = [name for _, _, names in os.walk(folder) for name in names]
    assert not [name for name in names if name.endswith((".pkl", ".pickle"))]
    assert "torch==" in (project / folder / "requirements.txt").read_text()
    Image.fromarray(np.full((40, 56, 3), 90, dtype=np.uint8)).save("photo.jpg")
    monkeypatch.setattr(sys, "path", list(sys.path))  # MLflow puts the model's code in front
    labels = mlflow.pyfunc.load_model(folder).predict({"photo": ["photo.jpg", "photo.jpg"]})
    assert [one.shape for one in labels] == [(40, 56)] * 2
    assert labels[0].dtype == np.uint8
    assert labels[0].max() < 3


def test_what_the_model_imports_is_among_its_requirements():
    names = set()
    for path in closure([MODULE]):
        names |= imported_names(ast.walk(ast.parse(path.read_text())), "wsgcn")
    foreign = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"wsgcn"}
    projects = {"PIL": "pillow", "pydantic_core": "pydantic", "pydensecrf": "pydensecrf2"}
    assert {projects.get(name, name) for name in foreign} <= set(MODEL_NEEDS)


def test_the_model_is_loaded_without_mlflow():
    code = f"import sys, {MODULE}; assert 'mlflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# ---------------------------------------------------------------- paths and base64


@pytest.fixture
def segmenter(tmp_path, params):
    torch.manual_seed(0)
    network = build_deeplab(SETTINGS, None)
    return Segmenter(network, (1.0,), False, "mean", params.evaluate.seg_crf)


@pytest.fixture
def photo(tmp_path):
    """A turned photograph: its file has 12 rows."""
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.random.default_rng(1).integers(0, 256, (12, 20, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.jpg", exif=exif)
    return tmp_path / "photo.jpg"


def test_a_path_and_base64_are_labelled_alike(segmenter, photo):
    text = base64.b64encode(photo.read_bytes()).decode()
    given = [str(photo), text]
    forms = [given, np.array(given), pandas.DataFrame({"photo": given}), pandas.DataFrame({"photo": [given]})]
    for form in forms:
        first, second = segmenter.predict(form)
        assert first.shape == (20, 12)
        assert (first == second).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("no/photo.jpg", "'no/photo.jpg' is neither an existing file nor base64"),
        ("a\0b", "neither an existing file nor base64"),
        ("é" * 3000, "é…' is neither an existing file nor base64"),
        (base64.b64encode(b"no picture").decode(), "is no existing file, and as base64 it is no whole picture"),
        (base64.b64encode(pickle.dumps({"a": 1}) * 300).decode(), "as base64 it is no whole picture"),
        ("", "as base64 it is no whole picture"),
        (3.5, "not of type float"),
    ],
)
def test_what_is_no_photograph_is_one_line(segmenter, given, message):
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        segmenter.predict([given])
    assert len(str(caught.value)) < 150


def test_a_broken_file_is_named(segmenter, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"broken\.jpg is no picture"):
        segmenter.predict([str(tmp_path / "broken.jpg")])
