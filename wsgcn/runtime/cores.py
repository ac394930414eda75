"""How many cores there are, and processes that get ready while this one still imports; nothing here imports torch."""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing import forkserver, resource_tracker

from wsgcn.runtime.memory import free_memory


def core_count() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1  # macOS lacks it


def worker_count(workers: int, memory: int = 0) -> int:
    """The number of worker processes: ``workers``, or where it is 0 one a core, or as many as there is memory for.

    Args:
        workers: as ``runtime.workers`` has it.
        memory: bytes that one takes, 0 = next to nothing.
    """
    if workers > 0:
        return workers
    return max(1, min(core_count(), free_memory() // memory)) if memory else core_count()


def start_fork_server(module: str, workers: int) -> None:
    """Let the process from which workers are forked import a module while this process imports it too.

    Importing PyTorch takes one or two seconds; without this, first the command and then the server would spend them. On
    an accelerator some stages need no workers, and the server is in vain: asking for the device needs PyTorch.

    Args:
        module: dotted name.
        workers: number of processes as ``runtime.workers`` has it; for one alone there is no server.
    """
    if worker_count(workers) > 1:
        multiprocessing.get_context("forkserver").set_forkserver_preload([module])
        # Ctrl-C is the parent's to handle: the server inherits that it hears of none, amid its imports too.
        resource_tracker.ensure_running()  # which would let the signal through again
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            forkserver.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
