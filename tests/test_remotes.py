"""A second machine takes a project from git and from a DVC remote: a folder, a shared folder or S3.

There ``dvc repro`` has nothing to do, and ``wsgcn report`` gives MLflow its complete record. S3 needs
``pip install dvc-s3 'moto[server]'``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import servers
from tests.conftest import ROOT
from tests.projects import dvc, git, repro, small_demo, write_yaml, wsgcn
from tests.tracking.conftest import runs
from wsgcn.params import load_params
from wsgcn.tracking.connection import connect

pytestmark = pytest.mark.slow

METHOD = "WSGCN-I"
PAGE = "artifacts/report/report.md"


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A small demo of one method that was run once and committed."""
    folder = tmp_path_factory.mktemp("first") / "project"
    content = small_demo(folder)
    content["variants"] = {"I": content["variants"]["I"]}
    content["methods"] = {METHOD: content["methods"][METHOD]}
    write_yaml(folder, content)
    repro(ROOT, folder)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "run")
    return folder


def _folder(project: Path, first: Path, second: Path) -> Iterator[Any]:
    """A folder whose place is in .dvc/config, relative to the project."""
    dvc(ROOT, project, "remote", "add", "--default", "--force", "lab", str(first.parent / "storage"))
    yield lambda clone: None


def _shared(project: Path, first: Path, second: Path) -> Iterator[Any]:
    """A folder that each machine has mounted elsewhere, so that its place is in .dvc/config.local."""
    second.symlink_to(first, target_is_directory=True)
    dvc(ROOT, project, "remote", "add", "--default", "--local", "--force", "lab", str(first))
    yield lambda clone: dvc(ROOT, clone, "remote", "add", "--default", "--local", "lab", str(second))


def _s3(project: Path, first: Path, second: Path) -> Iterator[Any]:
    """A bucket; keys are in the environment."""
    with servers.s3() as store:
        dvc(ROOT, project, "remote", "add", "--default", "--force", "lab", f"s3://{servers.BUCKET}/project")
        dvc(ROOT, project, "remote", "modify", "lab", "endpointurl", store.url)
        yield lambda clone: None


REMOTES = [
    pytest.param(_folder, id="folder"),
    pytest.param(_shared, id="shared"),
    pytest.param(_s3, id="s3", marks=servers.needs("dvc_s3", "moto", "flask")),
]


@pytest.fixture(params=REMOTES)
def remote(request, project, tmp_path, monkeypatch) -> Iterator[Any]:
    """A remote of the project, and what a clone has to do to reach it."""
    for name, value in servers.KEYS.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "first").mkdir()
    before = (project / ".dvc" / "config").read_bytes()
    yield from request.param(project, tmp_path / "first", tmp_path / "second")
    (project / ".dvc" / "config").write_bytes(before)
    (project / ".dvc" / "config.local").unlink(missing_ok=True)
    git(project, "commit", "--quiet", "--all", "--allow-empty", "--message", "no remote")


def _record(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What MLflow has of each method: everything but when it was logged."""
    monkeypatch.chdir(folder)
    params = load_params(folder / "params.yaml")
    client = connect(f"sqlite:///{folder / 'mlflow.db'}")
    found = {}
    for run in runs(client, params):
        tags = {name: run.data.tags[name] for name in ("recorded", "parameters", "method")}
        metrics = {name: value for name, value in run.data.metrics.items() if not name.startswith("live_")}
        found[run.info.run_name] = (run.info.status, run.data.params, metrics, tags)
    return found


def test_a_second_machine_has_nothing_to_do(project, remote, tmp_path, monkeypatch):
    dvc(ROOT, project, "push")
    git(project, "commit", "--quiet", "--all", "--allow-empty", "--message", "remote")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(project), str(clone))
    remote(clone)
    dvc(ROOT, clone, "pull")
    assert repro(ROOT, clone) == {"code"}
    assert git(clone, "status", "--porcelain") == ""
    wsgcn(ROOT, clone, "report")
    assert (clone / PAGE).read_bytes() == (project / PAGE).read_bytes()
    record = _record(clone, monkeypatch)
    assert record.keys() == {METHOD}
    assert record == _record(project, monkeypatch)
    assert all(status == "FINISHED" for status, *_ in record.values())
