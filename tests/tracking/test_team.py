"""A lab's tracking server, with PostgreSQL and a folder or S3 for files, takes what a large dataset has to log."""

from __future__ import annotations

import json
import random
import time

import pytest

from tests import servers
from tests.conftest import changed
from tests.tracking.conftest import METHOD, NAMES, check_complete, files, history, runs, write_labels, write_network
from tests.tracking.test_complete import WANTED
from wsgcn.store.files import read_json, write_table
from wsgcn.store.paths import Artifacts
from wsgcn.tracking import connection
from wsgcn.tracking.complete import complete_run
from wsgcn.tracking.contents import Point, milliseconds
from wsgcn.tracking.models import fetch_model
from wsgcn.tracking.run import Run

pytestmark = [pytest.mark.slow, servers.needs("psycopg2", postgres=True)]

PHOTOGRAPHS = 10582
"""Of VOC's training list trainaug."""


@pytest.fixture(scope="module")
def database():
    with servers.postgres() as running:
        yield running


@pytest.fixture(scope="module", params=["folder", pytest.param("s3", marks=servers.needs("moto", "boto3", "flask"))])
def server(request, database, tmp_path_factory):
    """The tracking server, once with a folder for files and once with S3."""
    if request.param == "folder":
        with servers.tracking(database.url, tmp_path_factory.mktemp("files")) as running:
            yield running
        return
    with servers.s3() as store:
        environment = servers.KEYS | {"MLFLOW_S3_ENDPOINT_URL": store.url}
        with servers.tracking(database.url, f"s3://{servers.BUCKET}/mlflow", environment) as running:
            yield running


@pytest.fixture
def params(request, server, tiny_params, tmp_path, monkeypatch):
    """A client on another machine knows the server's address and nothing else."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(connection, "_away", set())
    return changed(tiny_params, {"tracking.uri": server.url, "tracking.experiment": request.node.name})


@pytest.fixture
def client(params):
    return connection.connect(params.tracking.uri)


def drawn_losses():
    """Five losses of each photograph."""
    draws = random.Random(0)
    return [[f"2008_{number:06}", *(draws.random() for _ in NAMES)] for number in range(PHOTOGRAPHS)]


def test_the_losses_of_every_photograph(params, client, tmp_path):
    artifacts, method, losses = Artifacts(tmp_path / "artifacts"), params.method(METHOD), drawn_losses()
    write_labels(artifacts)
    write_table(artifacts.losses(METHOD), ("id", *NAMES), losses)
    complete_run(params, artifacts, method, pytest.fail, ["labels"])
    (run,) = runs(client, params)
    table = read_json(tmp_path / client.download_artifacts(run.info.run_id, "tables/losses.json", str(tmp_path)))
    assert table == {"columns": ["id", *NAMES], "data": losses}
    assert json.loads(run.data.tags["mlflow.loggedArtifacts"]) == [{"path": "tables/losses.json", "type": "table"}]
    assert run.info.status == "FINISHED"


def test_as_many_points_of_curves(params, client):
    run, now = Run(params, params.method(METHOD)), milliseconds()
    points = [
        Point(name, position, value, now)
        for position, (_, *values) in enumerate(drawn_losses())
        for name, value in zip(NAMES, values, strict=True)
    ]
    run.add(points)
    run.add(points)  # there already
    (found,) = runs(client, params)
    for name in NAMES:
        wanted = [(point.step, point.value) for point in points if point.name == name]
        assert sorted(history(client, found, name)) == wanted


def test_everything_is_in_the_run_and_the_network_comes_back(params, client, tmp_path):
    artifacts, method = Artifacts(tmp_path / "artifacts"), params.method(METHOD)
    write_labels(artifacts)
    write_network(artifacts)
    complete_run(params, artifacts, method, pytest.fail)
    (run,) = runs(client, params)
    check_complete(client, run)
    assert set(files(client, run)) >= WANTED
    (tmp_path / "fetched").mkdir()
    network, _ = fetch_model(f"runs:/{run.info.run_id}/model", params.tracking.uri, tmp_path / "fetched")
    assert network.read_bytes() == artifacts.checkpoint("segtrain", METHOD).read_bytes()


def test_a_database_that_was_away_gets_everything_later(params, client, tmp_path, database, monkeypatch):
    artifacts, method, warnings = Artifacts(tmp_path / "artifacts"), params.method(METHOD), []
    write_labels(artifacts)
    complete_run(params, artifacts, method, pytest.fail)
    write_network(artifacts)
    database.kill()
    try:
        complete_run(params, artifacts, method, warnings.append)
        assert len(warnings) == 1
    finally:
        database.start()
    monkeypatch.setattr(connection, "_away", set())  # a command of its own
    time.sleep(1)
    complete_run(params, artifacts, method, pytest.fail)
    (run,) = runs(client, params)
    check_complete(client, run)
