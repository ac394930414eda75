"""Devices, cores and threads."""

import contextlib
import os

import pytest
import torch

from wsgcn.errors import UsageError
from wsgcn.runtime.devices import core_count, pick_device, threads, worker_count


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_worker_count_is_what_is_asked_for(workers):
    assert worker_count(workers) == workers


def test_no_worker_count_means_one_a_core():
    assert worker_count(0) == len(os.sched_getaffinity(0))


def test_threads_are_put_back_after_an_error():
    before = torch.get_num_threads()
    inside = []
    with contextlib.suppress(KeyError), threads(before + 1):
        inside.append(torch.get_num_threads())
        raise KeyError
    assert inside == [before + 1]
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("name", ["gpu", "", "CPU", "cuda:", "cuda:x", "cuda:-1", "cpu:0", "cuda 0"])
def test_unknown_device_is_named(name):
    with pytest.raises(UsageError) as caught:
        pick_device(name)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("name", ["cuda:99", "cuda"])
def test_device_that_is_not_there(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(UsageError, match="0 CUDA devices"):
        pick_device(name)


@pytest.mark.parametrize(("there", "kind"), [(True, "cuda"), (False, "cpu")])
def test_auto_takes_cuda_where_there_is_one(monkeypatch, there, kind):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert pick_device("auto").type == kind
    assert pick_device("cpu").type == "cpu"


def test_cores_are_counted_where_affinity_is_unknown(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    assert core_count() == os.cpu_count()
