"""How much memory there is, how much work needs, and what a process does with memory that it has freed."""

from __future__ import annotations

import ctypes
import math
from pathlib import Path
from typing import NamedTuple

GB = 10**9
WORKER, SEEN, LABELLED = 350_000_000, 700, 12
"""Bytes of a worker: for itself, for a pixel that the stages see, for a pixel of the photograph and its labels; a
network's come on top. docs/stages/dataset.md has the measurements."""
COPIES = 2
"""Of a network's weights, while it is loaded."""

A_PHOTOGRAPHS = 32 * 2**20
"""Bytes of an array that a worker keeps; glibc allows no larger bound."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4
"""Names of settings in glibc's ``malloc.h``."""
_MMAP_MAX = 65536
"""What glibc begins with: arrays that may be given back at a time; another call may have set it to 0."""

_GROUPS = (
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes"),
)
"""Where Linux says what a container may take, and what it has taken; the first as of today, the second as before."""


def keep_freed_memory(up_to: int | None = None) -> None:
    """Let this process keep what it frees, for its next arrays, where the C library is glibc; elsewhere do nothing.

    glibc gives every large array back to the system, which then clears each page of the next one: on a CPU up to half
    of the time of a network's forward pass. What is kept seldom fits the next array, though: of a large photograph
    that costs twice the memory.

    Args:
        up_to: bytes of an array, at most :data:`A_PHOTOGRAPHS`, above which it is given back; None = keep all.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(_M_TRIM_THRESHOLD, -1)
    mallopt(_M_MMAP_MAX, 0 if up_to is None else _MMAP_MAX)
    if up_to is not None:
        mallopt(_M_MMAP_THRESHOLD, up_to)


def give_back_freed_memory() -> None:
    """Give back what this process has freed and kept until now, where the C library is glibc; elsewhere do nothing."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class NetworkMemory(NamedTuple):
    """Bytes of a network.

    Attributes:
        weights: of its parameters.
        pixel: that its forward pass takes for each pixel that the stages see.
    """

    weights: int = 0
    pixel: float = 0


NO_NETWORK = NetworkMemory()


def worker_memory(pixels: float, seen: float, network: NetworkMemory = NO_NETWORK) -> int:
    """Bytes that a worker process of a per-image stage takes at most.

    Args:
        pixels: of the largest photograph.
        seen: of the largest one as the stages see it.
        network: what sees it; empty for a stage without one.
    """
    return int(WORKER + COPIES * network.weights + (SEEN + network.pixel) * seen + LABELLED * pixels)


def free_memory() -> int:
    """Bytes that this machine can still give away, or this container where it may have less."""
    import psutil

    left = (_left(*group) for group in _GROUPS)
    return max(0, int(min(psutil.virtual_memory().available, *left)))


def _left(folder: Path, limit: str, taken: str) -> float:
    """Bytes that a container has left; infinity where there is none, or it has no limit."""
    try:
        allowed, used = (float((folder / name).read_text()) for name in (limit, taken))
    except (OSError, ValueError):  # the word for no limit is "max"
        return math.inf
    # What was read from files counts as taken, but goes when it is needed.
    lines = (line.split() for line in (folder / "memory.stat").read_text().splitlines())
    return allowed - used + float(dict(lines).get("inactive_file", 0))
