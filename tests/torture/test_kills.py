"""A stage is killed or interrupted at random moments, and run again: the same files, no leftovers, MLflow complete.

    pytest -n 0 -m slow tests/torture/test_kills.py -s

prints how many of the signals came while the stage worked.
"""

from __future__ import annotations

import random
import signal
import sys
import time

import pytest

from tests.torture.stages import COMMANDS, Snapshots, Started, record, tracebacks

pytestmark = pytest.mark.slow

KILLS = 20
"""A stage, in turn of the group, the parent and one worker."""
TARGETS = ("group", "parent", "worker")
STARTING = 0.3
"""Part of a command's time in which Python only imports: most kills come after it."""


def moments(stage: str) -> random.Random:
    """Draws of when to strike, the same on each run of the test."""
    return random.Random(f"17 {stage}")


def strike(snapshots: Snapshots, stage: str, number: int, target: str, draws: random.Random) -> tuple[bool, int, str]:
    """Send a signal to a stage at a drawn moment: whether it came in time, the exit status, what was said."""
    snapshots.restore(stage)
    started = Started.of(stage, snapshots.project)
    time.sleep(snapshots.seconds[stage] * draws.uniform(STARTING, 1))
    hit = started.send(number, target)
    return hit, *started.ended()


@pytest.mark.parametrize("stage", COMMANDS)
def test_kills(snapshots, stage):
    draws, hits = moments(stage), 0
    for number in range(KILLS):
        target = TARGETS[number % len(TARGETS)]
        hit, code, text = strike(snapshots, stage, signal.SIGKILL, target, draws)
        hits += hit
        assert code in ((0,) if not hit else (0, -signal.SIGKILL, 2)), text
        assert not tracebacks(text), text
        snapshots.resume(stage)
    sys.stdout.write(f"| kill -9, {stage} | {KILLS} | {hits} |\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize("stage", COMMANDS)
def test_interrupts(snapshots, stage, number):
    draws, hits = moments(stage), 0
    for target in ("group", "parent"):
        hit, code, text = strike(snapshots, stage, number, target, draws)
        hits += hit
        assert code in (0, 128 + number, -number), text  # the last where Python itself had ended
        assert not tracebacks(text), text
        assert "RUNNING" not in [run["status"] for run in record(snapshots.project)]
        snapshots.resume(stage)
    sys.stdout.write(f"| {number.name}, {stage} | 2 | {hits} |\n")
