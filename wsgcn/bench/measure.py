"""Time and peak memory of one piece of work, in a process of its own."""

from __future__ import annotations

import math
import multiprocessing
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch

from wsgcn.errors import DataError, UsageError, WsgcnError

Prepare = Callable[[], Callable[[], object]]
"""Builds the inputs and gives what is to be timed; picklable."""


@dataclass(frozen=True)
class Cost:
    """What a call cost.

    Attributes:
        seconds: of the fastest call.
        processor_seconds: that all threads of the process together computed in the call that computed least.
        peak_mb: highest resident memory of the process while the calls ran, MB of 10^6 bytes.
        base_mb: resident memory of the same process before the inputs were made.
    """

    seconds: float
    processor_seconds: float
    peak_mb: float
    base_mb: float


def measure(
    prepare: Prepare, repeats: int, threads: int = 1, family: bool = False, advice: str = "choose a smaller --grid"
) -> Cost:
    """Run ``prepare()`` and then the result ``repeats`` times, in a fresh process.

    Args:
        prepare: builds the inputs, untimed, and gives the call.
        repeats: calls; the fastest counts, since other programs only ever slow one down.
        threads: threads of torch.
        advice: what to do where memory is too small, for the error.
        family: the peak is that of the largest process among it and those that it starts.

    Raises:
        UsageError: the process was killed, most likely for want of memory.
        DataError: what the work itself said.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure_here, args=(sender, prepare, repeats, threads, family))
    process.start()
    sender.close()
    try:
        cost = receiver.recv()
    except EOFError:
        process.join()
        raise UsageError(
            f"the process that was measured ended with code {process.exitcode}, most likely for want of memory: "
            f"{advice}"
        ) from None
    process.join()
    if isinstance(cost, str):
        raise DataError(cost)
    assert isinstance(cost, Cost)
    return cost


def _measure_here(sender: Connection, prepare: Prepare, repeats: int, threads: int, family: bool) -> None:
    torch.set_num_threads(threads)
    _warm_up()
    base = _resident("VmRSS")
    times, computed = [], []
    try:
        call = prepare()
        _forget_peak()
        with _watch(family) as peaks:
            for _ in range(repeats):
                start, before = time.perf_counter(), time.process_time()
                call()
                times.append(time.perf_counter() - start)
                computed.append(time.process_time() - before)
    except WsgcnError as error:
        sender.send(str(error))
        return
    sender.send(Cost(min(times), min(computed), max([_resident("VmHWM"), *peaks]), base))


def _warm_up() -> None:
    """Take the first step of an optimiser, which imports for a second what a worker imports once."""
    weight = torch.zeros(1, requires_grad=True)
    weight.grad = torch.zeros(1)
    torch.optim.Adam([weight]).step()


def _resident(field: str, pid: int | str = "self") -> float:
    """Resident memory of a process in MB: now (``VmRSS``) or at its highest (``VmHWM``); NaN where it is unknown."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # not Linux, or the process has ended
        return float("nan")
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(f"{field}:")), float("nan"))


@contextmanager
def _watch(family: bool) -> Iterator[list[float]]:
    """Look once a second at the ``family`` that this process has started; the list grows meanwhile."""
    peaks: list[float] = []
    done = threading.Event()

    def look() -> None:
        while not done.wait(1.0):  # more often would take a share of a core from what is measured
            peaks.extend(peak for pid in _descendants(os.getpid()) if not math.isnan(peak := _resident("VmHWM", pid)))

    thread = threading.Thread(target=look, daemon=True)
    if family:
        thread.start()
    try:
        yield peaks
    finally:
        done.set()
        if family:
            thread.join()


def _descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = defaultdict(list)
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # The name in brackets may hold spaces; the parent is the second word after it.
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
        children[parent].append(int(folder.name))
    found, waiting = [], [pid]
    while waiting:
        below = children[waiting.pop()]
        found += below
        waiting += below
    return found


def _forget_peak() -> None:
    """Let the highest resident memory start anew, so that making the inputs does not count."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:  # not Linux, or not allowed: the peak then includes the inputs' making
        return


def bandwidth() -> float:
    """Bytes a second that one thread copies, reading and writing counted; the roof of every sparse product."""
    source = np.zeros(32_000_000, dtype=np.float32)
    target = source.copy()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        np.copyto(target, source)
        times.append(time.perf_counter() - start)
    return 2 * source.nbytes / min(times)
