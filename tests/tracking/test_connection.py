"""MLflow is never in the way: a store that is away is one warning, and a command prints nothing of MLflow's."""

import json
import os
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT, changed
from tests.tracking.conftest import log_all, runs
from wsgcn.tracking.bench import log_bench
from wsgcn.tracking.complete import complete_run
from wsgcn.tracking.connection import connect, experiment_id
from wsgcn.tracking.finished import finished_runs
from wsgcn.tracking.live import live


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "sqlite:////proc/no/mlflow.db", "nonsense://x"])
def test_store_that_is_away_is_one_warning(params, artifacts, warnings, uri):
    params = changed(params, {"tracking.uri": uri})
    start = time.monotonic()
    with live(params, params.method("WSGCN-I"), warnings.append) as log:
        log_all(log)
    for method in params.all_methods():
        complete_run(params, artifacts, method, warnings.append)
    assert finished_runs(params, warnings.append) == []
    assert len(warnings) == 1
    assert uri in warnings[0]
    assert "\n" not in warnings[0]
    assert time.monotonic() - start < 20


def test_store_that_is_no_database_is_one_warning(project, params, artifacts, warnings):
    (project / "broken.db").write_text("no database")
    params = changed(params, {"tracking.uri": f"sqlite:///{project / 'broken.db'}"})
    complete_run(params, artifacts, params.method("WSGCN-I"), warnings.append)
    assert len(warnings) == 1


def test_bench_is_a_run_of_its_own(client, params, warnings):
    log_bench(params, {"crf 94x125": {"seconds": 0.5, "what": "crf"}}, warnings.append)
    (run,) = runs(client, params)
    assert run.info.run_name == "bench"
    assert run.data.metrics == {"crf 94x125/seconds": 0.5}
    assert finished_runs(params, warnings.append) == []
    assert warnings == []


def test_command_prints_nothing_and_sends_nothing(project, artifacts):
    """In a fresh process with a fresh store, as a user has it, after one that was killed while it made the store."""
    code = (
        "import json, os; from pathlib import Path\n"
        "from wsgcn.tracking.complete import complete_run; from wsgcn.tracking.live import live\n"
        "from wsgcn.store.paths import Artifacts; from wsgcn.params import load_params\n"
        f"params = load_params(Path({str(ROOT / 'params.yaml')!r}))\n"
        "method = params.method('WSGCN-I')\n"
        "with live(params, method, print) as log:\n"
        "    log({'gcn_fg': 0.1}, 0)\n"
        "complete_run(params, Artifacts(), method, print)\n"
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


def test_the_page_opens_on_the_runs(tmp_path):
    client = connect(f"sqlite:///{tmp_path / 'mlflow.db'}")
    number = experiment_id(client, "ours")
    assert client.get_experiment(number).tags["mlflow.experimentKind"] == "custom_model_development"
    assert experiment_id(client, "ours") == number
