"""Devices, precision and threads."""

import contextlib

import pytest
import torch

from wsgcn.errors import UsageError
from wsgcn.runtime.devices import pick_device, pick_precision, threads


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


@pytest.mark.parametrize("name", ["32-true", "bf16-mixed", "16-mixed"])
def test_a_named_precision_is_what_is_asked_for_whatever_the_device(name):
    assert pick_precision(name, "cuda:99") == name


@pytest.mark.parametrize(
    ("capabilities", "precision"),
    [
        ({"avx512_f": True, "avx512_bf16": True}, "bf16-mixed"),
        ({"neon": True, "bf16": True}, "bf16-mixed"),
        ({"avx512_f": True, "avx512_bf16": False}, "32-true"),
        ({"architecture": "unknown"}, "32-true"),
    ],
)
def test_automatic_precision_is_what_the_processor_computes_itself(monkeypatch, capabilities, precision):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert pick_precision("auto", "cpu") == precision


def test_automatic_precision_needs_a_library_that_uses_the_instructions(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"bf16": True})
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert pick_precision("auto", "cpu") == "32-true"


@pytest.mark.parametrize(("number", "precision"), [(0, "32-true"), (1, "bf16-mixed")])
def test_automatic_precision_is_that_of_the_gpu_that_is_named(monkeypatch, number, precision):
    chosen = []

    @contextlib.contextmanager
    def device(one):
        chosen.append(one.index)
        yield

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "device", device)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: chosen[-1] == 1)
    assert pick_precision("auto", f"cuda:{number}") == precision
