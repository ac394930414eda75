"""The MLflow store goes away in the middle of a run: nothing that was computed is lost, and a later command logs it."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from contextlib import closing

import pytest

from tests import servers
from tests.conftest import changed
from tests.tracking.conftest import METHOD, check_complete, files, history, runs, write_labels, write_network
from tests.tracking.test_complete import WANTED
from wsgcn.store.paths import Artifacts
from wsgcn.tracking import connection, live
from wsgcn.tracking.complete import complete_run

pytestmark = pytest.mark.slow

KILLS = 4
"""Moments of completing a run at which the server is killed."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    with servers.tracking(f"sqlite:///{folder / 'mlflow.db'}", folder / "files") as running:
        yield running


@pytest.fixture
def artifacts(tmp_path, monkeypatch):
    """What the stages leave of one method; the store is tried as often as a test needs it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(live, "SEND_EVERY", 0.05)
    monkeypatch.setattr(live, "RETRY_EVERY", 0.2)
    made = Artifacts(tmp_path / "artifacts")
    write_labels(made)
    write_network(made)
    return made


def logged_to(params, uri, experiment="outage"):
    return changed(params, {"tracking.uri": uri, "tracking.experiment": experiment})


def command(monkeypatch, act):
    """The warnings of what a command of its own does: it knows of no earlier failure."""
    monkeypatch.setattr(connection, "_away", set())
    warnings: list[str] = []
    act(warnings.append)
    return warnings


def completed(params, artifacts, warn):
    complete_run(params, artifacts, params.method(METHOD), warn)


def arrived(params, step):
    """Wait until a point of a live curve is in the store."""
    client = connection.connect(params.tracking.uri)
    deadline = time.monotonic() + 300
    while step not in [one for run in runs(client, params) for one, _ in history(client, run, "seg_loss")]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


# ---------------------------------------------------------------- a tracking server


def test_a_server_that_comes_back_gets_every_point(server, tiny_params, artifacts, monkeypatch, tally):
    tally.tried(row := "tracking server killed in the middle of a stage, and back in it")
    params = logged_to(tiny_params, server.url, "back")

    def stage(warn):
        with live.live(params, params.method(METHOD), warn) as log:
            log({"seg_loss": 0.0}, 0)
            arrived(params, 0)
            server.kill()
            log({"seg_loss": 1.0}, 1)
            time.sleep(2)
            server.start()
            arrived(params, 1)
            log({"seg_loss": 2.0}, 2)

    assert command(monkeypatch, stage) == []
    client = connection.connect(server.url)
    (run,) = runs(client, params)
    assert sorted(history(client, run, "seg_loss")) == [(0, 0.0), (1, 1.0), (2, 2.0)]
    assert run.info.status == "FINISHED"
    tally.holds(row)


def test_a_server_that_stays_away_costs_one_line_a_command(server, tiny_params, artifacts, monkeypatch, tally):
    tally.tried(row := "tracking server killed in the middle of a stage, and back after it")
    params = logged_to(tiny_params, server.url, "away")

    def stage(warn):
        with live.live(params, params.method(METHOD), warn) as log:
            log({"seg_loss": 1.5}, 10)
            arrived(params, 10)
            server.kill()
            log({"seg_loss": 1.25}, 20)

    try:
        (said,) = command(monkeypatch, stage)
        assert "`wsgcn report` logs everything later" in said
        assert len(command(monkeypatch, lambda warn: completed(params, artifacts, warn))) == 1
    finally:
        server.start()
    client = connection.connect(server.url)
    (run,) = runs(client, params)
    assert run.info.status == "RUNNING"
    assert command(monkeypatch, lambda warn: completed(params, artifacts, warn)) == []
    (run,) = runs(client, params)
    check_complete(client, run)
    assert set(files(client, run)) >= WANTED
    tally.holds(row)


def test_a_server_killed_at_any_moment_of_completing(server, tiny_params, artifacts, monkeypatch, tally):
    client = connection.connect(server.url)
    start = time.monotonic()
    completed(logged_to(tiny_params, server.url, "undisturbed"), artifacts, pytest.fail)
    length, moments = time.monotonic() - start, random.Random(17)
    for number in range(KILLS):
        tally.tried(row := "tracking server killed while a run is completed")
        params = logged_to(tiny_params, server.url, f"killed {number}")
        killer = threading.Timer(moments.uniform(0, length), server.kill)
        killer.start()
        assert len(command(monkeypatch, lambda warn, params=params: completed(params, artifacts, warn))) <= 1
        killer.join()
        server.start()
        assert command(monkeypatch, lambda warn, params=params: completed(params, artifacts, warn)) == []
        (run,) = runs(client, params)
        check_complete(client, run)
        assert set(files(client, run)) >= WANTED
        tally.holds(row)


# ---------------------------------------------------------------- a locked SQLite file


@pytest.mark.parametrize("seconds", [2, None], ids=["for two seconds", "to the end"])
def test_a_locked_store(tmp_path, tiny_params, artifacts, monkeypatch, tally, seconds):
    tally.tried(row := f"SQLite store locked {'for two seconds' if seconds else 'by another program all the time'}")
    file = tmp_path / "mlflow.db"
    params = logged_to(tiny_params, f"sqlite:///{file}")
    connection.connect(params.tracking.uri)
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        if seconds:
            threading.Timer(seconds, other.execute, ["ROLLBACK"]).start()

        def stage(warn):
            with live.live(params, params.method(METHOD), warn) as log:
                log({"seg_loss": 1.5}, 10)

        for act in (stage, lambda warn: completed(params, artifacts, warn)):
            assert len(command(monkeypatch, act)) == (0 if seconds else 1)
    assert command(monkeypatch, lambda warn: completed(params, artifacts, warn)) == []
    client = connection.connect(params.tracking.uri)
    (run,) = runs(client, params)
    check_complete(client, run)
    tally.holds(row)
