"""Devices, what they compute in, and threads."""

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


@pytest.mark.parametrize(("native", "precision"), [(True, "bf16-mixed"), (False, "32-true")])
def test_automatic_precision_on_a_gpu(monkeypatch, native, precision):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native and not including_emulation)
    assert pick_precision("auto", "auto") == precision
