"""A stage is killed or interrupted at random moments, and run again: the same files, no leftovers, MLflow complete."""

from __future__ import annotations

import random
import signal
import sys
import time
from collections import Counter
from typing import NamedTuple

import pytest

from tests.torture.stages import COMMANDS, METHOD, Snapshots, Started, leftovers, made, tracebacks, words

pytestmark = pytest.mark.slow

KILLS = 20
"""A stage, in turn of the group, the parent and one worker."""
TARGETS = ("group", "parent", "worker")
WITH_WORKERS = ("cams", "affinity", "propagate", "crf")
"""Stages of which a worker is waited for, as it lives for a small part of so short a command; of others the parent is
hit where there is none."""
STARTING, ENDING = 0.3, 0.8
"""Parts of a command's time: before the first Python only imports, and after the second it may have ended already."""
EARLIER = 0.7
"""Part of a moment at which it is tried again where the command had ended: the machine may be faster than before."""


class Struck(NamedTuple):
    """What was hit of a command: its ``group``, its ``parent`` or one ``worker``; its exit status, and what it said."""

    hit: str
    code: int
    text: str


def strike(snapshots: Snapshots, stage: str, number: int, target: str, draws: random.Random) -> Struck:
    """Send a signal to a stage at a drawn moment, while it lives."""
    moment = snapshots.seconds[stage] * draws.uniform(STARTING, ENDING)
    while True:
        snapshots.restore(stage)
        started = Started.of(words(stage), snapshots.project)
        time.sleep(moment)
        if target == "worker" and stage in WITH_WORKERS:
            started.wait_for_worker()
        hit = started.send(number, target)
        code, text = started.ended()
        if hit:
            return Struck(hit, code, text)
        moment *= EARLIER


@pytest.mark.parametrize("stage", COMMANDS)
def test_kills(snapshots, tally, stage):
    draws, hits, states = random.Random(f"17 {stage}"), Counter(), Counter()
    for number in range(KILLS):
        tally.tried(row := f"`kill -9`, {stage}")
        hit, code, text = strike(snapshots, stage, signal.SIGKILL, TARGETS[number % len(TARGETS)], draws)
        assert code in (0, 2 if hit == "worker" else -signal.SIGKILL), text  # all was done already
        assert not tracebacks(text), text
        hits[hit] += 1
        states[snapshots.check_run(stage, code, text)] += 1
        snapshots.resume(stage)
        tally.holds(row, note=f"{hits['worker']} hit a worker; {counted(states)}")
    assert hits["worker"] or stage not in WITH_WORKERS


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize("stage", COMMANDS)
def test_interrupts(snapshots, tally, stage, number):
    draws, states = random.Random(f"17 {stage}"), Counter()
    for target in ("group", "parent"):
        tally.tried(row := f"{number.name}, {stage}")
        _, code, text = strike(snapshots, stage, number, target, draws)
        assert code in (0, 128 + number, -number), text  # all was done already, or Python itself had ended
        assert not tracebacks(text), text
        states[snapshots.check_run(stage, code, text)] += 1
        snapshots.resume(stage)
        tally.holds(row, note=counted(states))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_dvc_repro_goes_on(snapshots, tally, number):
    target = f"crf@{METHOD}"
    repro = [sys.executable, "-m", "dvc", "repro", target]
    snapshots.restore("dataset")
    length, draws = sum(snapshots.seconds[stage] for stage in stages_up_to("crf")), random.Random(f"17 {number}")
    tally.tried(row := f"{number.name}, `dvc repro`")
    for _ in range(2):
        started = Started.of(repro, snapshots.project)
        time.sleep(length * draws.uniform(0.1, 0.4))
        hit = started.send(number, "group")
        code, text = started.ended()
        assert hit, text
        assert code != 0, text
    code, text = Started.of(repro, snapshots.project).ended()
    assert code == 0, text
    assert without_code(made(snapshots.project)) == without_code(made(snapshots.after("crf")))
    assert leftovers(snapshots.project) == []
    tally.holds(row, note="stopped twice, then run to its end")


def counted(states: Counter[str]) -> str:
    """In which states MLflow's runs were found, for the table."""
    return "MLflow's run: " + ", ".join(f"{number} {state}" for state, number in sorted(states.items()))


def stages_up_to(stage: str) -> list[str]:
    """The stages that ``dvc repro`` runs for one."""
    return [*COMMANDS][: [*COMMANDS].index(stage) + 1]


def without_code(files: dict[str, bytes]) -> dict[str, bytes]:
    """Leave out what the stage ``code`` makes, which is DVC's alone."""
    return {name: content for name, content in files.items() if not name.startswith("artifacts/code")}
