"""Devices, precision and threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import torch

from wsgcn.errors import UsageError

if TYPE_CHECKING:
    from wsgcn.sections import Precision

BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")
"""Instructions that multiply in bfloat16, as PyTorch calls them: x86's first two, Arm's third."""


def pick_device(name: str) -> torch.device:
    """The device called ``auto``, ``cpu``, ``cuda`` or ``cuda:<n>``; ``auto`` takes CUDA where there is one.

    Raises:
        UsageError: the name is unknown, or the device is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cpu":
        return torch.device("cpu")
    if name != "cuda" and not (name.startswith("cuda:") and name[5:].isdigit()):
        raise UsageError(f"runtime.device is {name!r}: use auto, cpu, cuda or cuda:<number>")
    device = torch.device(name)
    if (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"runtime.device is {name!r}, but there are {torch.cuda.device_count()} CUDA devices: use cpu")
    return device


def pick_precision(name: Precision | Literal["auto"], device: str) -> Precision:
    """The precision called ``name``; ``auto`` takes ``bf16-mixed`` where the device computes bfloat16 in hardware.

    Elsewhere bfloat16 is emulated, slower than the ``32-true`` that ``auto`` takes there.

    Args:
        name: of the precision.
        device: as :func:`pick_device` takes it; looked at for ``auto`` alone.

    Raises:
        UsageError: the device is not there.
    """
    if name != "auto":
        return name
    found = pick_device(device)
    if found.type == "cuda":
        with torch.cuda.device(found):
            native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        there = torch.cpu.get_capabilities()
        native = torch.backends.mkldnn.is_available() and any(there.get(one, False) for one in BFLOAT16)
    return "bf16-mixed" if native else "32-true"


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch use this many threads inside the block, and as many as before after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
