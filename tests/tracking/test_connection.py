"""MLflow is never in the way: a store that is away is one warning, and a command prints nothing of MLflow's."""

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT, changed
from tests.tracking.conftest import log_all, runs
from wsgcn.tracking import connection
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


def test_a_full_disk_leaves_no_half_store(project, monkeypatch):
    def half(source, target):
        target.write_bytes(source.read_bytes()[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", half)
    with pytest.raises(OSError, match="No space left"):
        connect(f"sqlite:///{project / 'full.db'}")
    assert [*project.glob("*full.db*")] == []


def test_an_interrupt_is_none_of_the_stores(params, warnings, monkeypatch):
    """It may come amid the import of MLflow, of which nothing can then be asked."""
    monkeypatch.setattr(connection, "troubles", lambda: pytest.fail("asked"))
    with pytest.raises(SystemExit), connection.giving_up(params, warnings.append):
        raise SystemExit(143)
    assert warnings == []


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


def test_an_experiment_that_another_process_makes_meanwhile_is_taken(client, params, monkeypatch):
    there = experiment_id(client, params.tracking.experiment)
    look = client.get_experiment_by_name
    looks = iter([lambda name: None, look])
    monkeypatch.setattr(client, "get_experiment_by_name", lambda name: next(looks)(name))
    assert experiment_id(client, params.tracking.experiment) == there


def test_a_store_that_another_process_makes_meanwhile_stays(tmp_path, empty_store, monkeypatch):
    path = tmp_path / "mlflow.db"

    def slow_client(uri):
        Path(uri.removeprefix("sqlite:///")).write_text("ours")
        path.write_bytes(empty_store.read_bytes())  # the other's, which may hold runs already

    connection._make_database(path, slow_client)
    assert path.read_bytes() == empty_store.read_bytes()
    assert [one.name for one in tmp_path.iterdir()] == ["mlflow.db"]


@pytest.mark.parametrize("links", [True, False])
def test_a_store_appears_whole(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(os, "link", _no_links)
    connection._make_database(tmp_path / "a" / "mlflow.db", lambda uri: Path(uri[10:]).write_text("made"))
    assert (tmp_path / "a" / "mlflow.db").read_text() == "made"
    assert [one.name for one in (tmp_path / "a").iterdir()] == ["mlflow.db"]


def _no_links(*paths):
    raise OSError("Operation not permitted")


# ---------------------------------------------------------------- where the files of runs lie


def snapshot(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def in_a_process(folder, code, **environment):
    """Run code in a fresh process there: this one remembers which stores it has seen."""
    script = (
        "from pathlib import Path\nfrom wsgcn.tracking.connection import connect, experiment_id\n"
        f"client = connect('sqlite:///mlflow.db')\n{code}"
    )
    env = {**os.environ, **environment}
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


LOG = (
    "run = client.create_run(experiment_id(client, 'a b/c')).info.run_id\n"
    "client.log_text(run, 'text', 'note.txt')\nprint(run)"
)


def test_a_copied_project_writes_into_its_own_folder(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    first = in_a_process(old, LOG)
    shutil.copytree(old, new)
    before = snapshot(old)
    second = in_a_process(new, LOG)
    in_a_process(new, f"client.log_text('{first}', 'more', 'more.txt')")
    assert snapshot(old) == before
    names = sorted(path.name for path in new.rglob("*.txt"))
    assert names == ["more.txt", "note.txt", "note.txt"]
    assert (
        in_a_process(new, f"print(client.get_run('{second}').info.artifact_uri.startswith('{new.as_uri()}/'))")
        == "True"
    )


def test_a_moved_project_finds_its_files(tmp_path):
    (tmp_path / "old").mkdir()
    run = in_a_process(tmp_path / "old", LOG)
    (tmp_path / "old").rename(tmp_path / "new")
    assert (
        in_a_process(tmp_path / "new", f"print([one.path for one in client.list_artifacts('{run}')])") == "['note.txt']"
    )
    assert not (tmp_path / "old").exists()


def test_experiments_of_others_stay_where_they_are(tmp_path):
    """Another project's, whose folder is away, or of the same name as one beside the store."""
    project = tmp_path / "project"
    (project / "mlruns" / "1").mkdir(parents=True)
    places = [tmp_path / "other" / "mlruns" / "1", tmp_path / "away" / "mlruns" / "2"]
    places[0].mkdir(parents=True)
    for number, place in enumerate(places):
        in_a_process(project, f"client.create_experiment('x{number}', '{place}')")
    in_a_process(project, LOG)
    for number, place in enumerate(places):
        found = in_a_process(project, f"print(client.get_experiment_by_name('x{number}').artifact_location)")
        assert found == str(place)


def test_a_registered_model_comes_home_too(tmp_path):
    (tmp_path / "old").mkdir()
    register = (
        "client.create_registered_model('pets')\n"
        "uri = client.get_run(run).info.artifact_uri\n"
        "client.create_model_version('pets', f'{uri}/model', run)"
    )
    in_a_process(tmp_path / "old", f"{LOG}\n{register}")
    (tmp_path / "old").rename(tmp_path / "new 100%25")
    source = in_a_process(tmp_path / "new 100%25", "print(client.get_model_version('pets', '1').source)")
    assert source.startswith(f"{(tmp_path / 'new 100%25' / 'mlruns').as_uri()}/")
    run = in_a_process(tmp_path / "new 100%25", "print(client.get_model_version('pets', '1').run_id)")
    copied = in_a_process(
        tmp_path / "new 100%25", f"print(Path(client.download_artifacts('{run}', 'note.txt')).read_text())"
    )
    assert copied == "text"


def test_an_experiment_in_a_copy_of_the_project_reaches_its_store(tmp_path):
    """``dvc exp run --temp`` and ``--queue`` run stages elsewhere, and say where the project is."""
    project, copy = tmp_path / "project", tmp_path / "project" / ".dvc" / "tmp" / "exps" / "x"
    (copy / ".dvc").mkdir(parents=True)
    in_a_process(copy, LOG, DVC_ROOT=str(project))
    assert snapshot(copy) == {}
    assert (project / "mlflow.db").is_file()
    assert [path.name for path in (project / "mlruns").rglob("*.txt")] == ["note.txt"]
