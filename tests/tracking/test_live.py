"""Live curves: they arrive while a stage works, and what completes the run later goes on with them."""

import os
import signal
import threading
import time

import pytest

from tests.conftest import changed
from tests.tracking.conftest import check_complete, history, log_all, runs
from wsgcn.tracking import live as module
from wsgcn.tracking.complete import complete_run
from wsgcn.tracking.live import live, live_means
from wsgcn.tracking.run import Run


def test_live_points_arrive_while_the_stage_works(client, params, method, warnings, monkeypatch):
    monkeypatch.setattr(module, "SEND_EVERY", 0.05)
    with live(params, method, warnings.append) as log:
        log({"seg_loss": 2.0}, 10)
        deadline = time.monotonic() + 20
        while not (found := runs(client, params)) or "seg_loss" not in found[0].data.metrics:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert found[0].info.status == "RUNNING"
    assert runs(client, params)[0].info.status == "FINISHED"


def test_completing_goes_on_with_the_live_run(client, params, artifacts, method, warnings):
    for _ in range(2):
        with live_means(params, method, warnings.append) as log:
            log_all(log)
    with live(params, method, warnings.append) as log:
        log({"seg_loss": 1.5, "seg_lr": 0.02}, 10)
    complete_run(params, artifacts, method, warnings.append)
    (run,) = runs(client, params)
    check_complete(client, run)
    assert warnings == []


def test_means_of_the_photographs_so_far_replace_each_other(client, params, method, warnings, monkeypatch):
    monkeypatch.setattr(module, "MEANS_EVERY", 0.05)
    with live_means(params, method, warnings.append) as log:
        log({"gcn_total": 1.0}, 7)
        deadline = time.monotonic() + 20
        while not (found := runs(client, params)) or "live_gcn_total" not in found[0].data.metrics:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        log({"gcn_total": 2.0}, 3)
    (run,) = runs(client, params)
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"live_gcn_total": 1.5}
    assert sorted(history(client, run, "live_gcn_total")) == [(0, 1.0), (0, 1.5)]


@pytest.mark.parametrize(("error", "status"), [(KeyError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_stage_that_does_not_end_keeps_its_points(client, params, method, warnings, error, status):
    def stage():
        with live(params, method, warnings.append) as log:
            log({"seg_loss": 1.5}, 10)
            raise error

    with pytest.raises(error):
        stage()
    (run,) = runs(client, params)
    assert run.info.status == status
    assert history(client, run, "seg_loss") == [(10, 1.5)]


def test_an_interrupt_while_the_run_is_closed_closes_it_as_killed(client, params, method, warnings, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    def add_slowly(run, points):
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(0.5)  # by then this thread would have died with the process
        add(run, points)

    add, handler = Run.add, signal.signal(signal.SIGUSR1, interrupt)
    monkeypatch.setattr(Run, "add", add_slowly)
    try:
        with pytest.raises(KeyboardInterrupt), live(params, method, warnings.append) as log:
            log({"seg_loss": 1.5}, 10)
        (run,) = runs(client, params)
    finally:
        signal.signal(signal.SIGUSR1, handler)
    assert run.info.status == "KILLED"
    assert history(client, run, "seg_loss") == [(10, 1.5)]


def test_many_points(client, params, method, warnings):
    with live(params, method, warnings.append) as log:
        for step in range(2500):
            log({"seg_loss": float(step)}, step)
    (run,) = runs(client, params)
    assert len(history(client, run, "seg_loss")) == 2500


def test_stage_without_points_makes_no_run(client, params, warnings):
    with live(params, params.method("PSA"), warnings.append):
        pass
    assert runs(client, params) == []


def test_points_wait_until_the_store_is_back(client, params, method, warnings, monkeypatch):
    monkeypatch.setattr(module, "SEND_EVERY", 0.02)
    monkeypatch.setattr(module, "RETRY_EVERY", 0.02)
    away, add = threading.Event(), Run.add

    def add_if_there(run, points):
        if away.is_set():
            raise ConnectionError
        add(run, points)

    monkeypatch.setattr(Run, "add", add_if_there)
    with live(params, method, warnings.append) as log:
        for step in range(30):
            if step == 10:
                away.set()
            if step == 20:
                away.clear()
            log({"seg_loss": float(step)}, step)
            time.sleep(0.02)
    (run,) = runs(client, params)
    assert sorted(history(client, run, "seg_loss")) == [(step, float(step)) for step in range(30)]
    assert run.info.status == "FINISHED"
    assert warnings == []


@pytest.mark.parametrize("sending", [live, live_means])
def test_a_store_away_to_the_end_is_one_warning_at_the_end(project, params, method, warnings, monkeypatch, sending):
    monkeypatch.setattr(module, "RETRY_EVERY", 0.02)
    away = changed(params, {"tracking.uri": f"sqlite:////proc/no/{project.name}.db"})
    with sending(away, method, warnings.append) as log:
        for step in range(5):
            log({"seg_loss": float(step)}, step)
            time.sleep(0.02)
        assert warnings == []
    (warning,) = warnings
    assert "`wsgcn report` logs everything later" in warning
