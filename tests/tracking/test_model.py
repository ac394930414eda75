"""The network as a model of MLflow: plain code and a checkpoint, loaded without anything else of the project."""

import ast
import os
import subprocess
import sys

import mlflow
import numpy as np
from PIL import Image

from tests.tracking.conftest import runs
from wsgcn.store.code import closure, imported_names
from wsgcn.tracking.complete import MODEL_NEEDS, complete_run

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
    labels = mlflow.pyfunc.load_model(folder).predict(["photo.jpg", "photo.jpg"])
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
