"""Cores, and a fork server that starts early."""

import os
import subprocess
import sys

import pytest

from wsgcn.runtime import cores
from wsgcn.runtime.cores import core_count, start_fork_server, worker_count


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_worker_count_is_what_is_asked_for(workers):
    assert worker_count(workers) == workers


def test_no_worker_count_means_one_a_core():
    assert worker_count(0) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(("free", "count"), [(10, 1), (99, 1), (250, 2), (10**6, 4)])
def test_no_more_workers_than_there_is_memory_for(monkeypatch, free, count):
    monkeypatch.setattr(cores, "core_count", lambda: 4)
    monkeypatch.setattr(cores, "free_memory", lambda: free)
    assert worker_count(0, 100) == count
    assert worker_count(3, 100) == 3
    assert worker_count(0) == 4


def test_cores_are_counted_where_affinity_is_unknown(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    assert core_count() == os.cpu_count()


def test_one_worker_needs_no_server(monkeypatch):
    monkeypatch.setattr(cores.forkserver, "ensure_running", lambda: pytest.fail("a server was started"))
    start_fork_server("wsgcn.vocabulary", 1)


PROGRAM = """
import multiprocessing, sys
from wsgcn.runtime.cores import start_fork_server
start_fork_server("wsgcn.ops.scores", 2)
assert "torch" not in sys.modules
with multiprocessing.get_context("forkserver").Pool(1) as pool:
    print(pool.apply(eval, ("'wsgcn.ops.scores' in __import__('sys').modules",)))
"""


def test_workers_find_the_module_imported_which_this_process_never_did():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
