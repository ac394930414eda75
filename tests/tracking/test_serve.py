"""``mlflow models serve`` and a registered model label as ``wsgcn predict`` does."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from typer.testing import CliRunner

from tests.tracking.conftest import SETTINGS, runs
from wsgcn import predict
from wsgcn.cli import app
from wsgcn.nets.deeplab import build_deeplab
from wsgcn.store.checkpoints import save_checkpoint
from wsgcn.store.label_maps import load_label_map
from wsgcn.tracking.complete import complete_run

PATIENCE = 240  # seconds


@pytest.fixture
def address(client, project, params, artifacts, method):
    """A model with a network of as many classes as the project; beside it a photograph."""
    settings = SETTINGS | {"classes": len(params.dataset.classes)}
    torch.manual_seed(0)
    save_checkpoint(artifacts.checkpoint("segtrain", method.name), "segtrain", settings, build_deeplab(settings, None))
    complete_run(params, artifacts, method, pytest.fail)
    (run,) = runs(client, params)
    (project / "params.yaml").write_text(yaml.safe_dump(params.model_dump(mode="json")))
    pixels = np.random.default_rng(2).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(project / "photo.png")
    predict._load.cache_clear()
    return f"runs:/{run.info.run_id}/model"


def predicted(*words):
    """The labels that ``wsgcn predict`` writes of the photograph."""
    done = CliRunner().invoke(app, ["predict", "photo.png", "--out", "out", *words])
    assert done.exit_code == 0, done.output
    return load_label_map(Path("out/labels/photo.png"))


def test_a_registered_model_is_predicted_with(params, address):
    wanted = predicted("--method", "WSGCN-I")
    mlflow.set_tracking_uri(params.tracking.uri)
    assert int(mlflow.register_model(address, "pets").version) == 1
    Path("out/labels/photo.png").unlink()
    assert (predicted("--model", "models:/pets/1") == wanted).all()
    assert (mlflow.pyfunc.load_model("models:/pets/1").predict({"photo": ["photo.png"]})[0] == wanted).all()


@pytest.mark.slow
def test_the_server_answers_a_photograph_in_base64(project, params, address):
    text = base64.b64encode((project / "photo.png").read_bytes()).decode()
    wanted = predicted("--method", "WSGCN-I").tolist()
    with served(address, params.tracking.uri) as url:
        for request in (
            {"dataframe_split": {"columns": ["photo"], "data": [[text]]}},
            {"dataframe_records": [{"photo": text}]},
            {"inputs": {"photo": [text]}},
            {"dataframe_split": {"columns": ["photo"], "data": [[str(project / "photo.png")]]}},
        ):
            assert answer(url, request) == (200, {"predictions": [wanted]})
        status, said = answer(url, {"dataframe_records": [{"photo": "no/photo.jpg"}]})
        assert status == 400
        assert "'no/photo.jpg' is neither an existing file nor base64" in json.dumps(said)


@contextmanager
def served(address, uri):
    """The address of a server of the model, which is stopped at the end."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["-m", "mlflow", "models", "serve", "-m", address, "--env-manager", "local", "-p", str(port)]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # MLflow starts the program uvicorn
    with open("server.log", "w") as log:
        server = subprocess.Popen(
            [sys.executable, *command],
            env={**os.environ, "MLFLOW_TRACKING_URI": uri, "PATH": path},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/ping", server)
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)


def wait_for(url, server):
    end = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            assert server.poll() is None, Path("server.log").read_text()
            assert time.monotonic() < end, Path("server.log").read_text()
            time.sleep(0.5)


def answer(url, request):
    """Status and content of what the server answers."""
    message = urllib.request.Request(url, json.dumps(request).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(message, timeout=PATIENCE) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
