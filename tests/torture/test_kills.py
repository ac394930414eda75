"""A stage is killed or interrupted at random moments, and run again: the same files, no leftovers, MLflow complete."""

from __future__ import annotations

import random
import signal
import sys
import time

import pytest

from tests.torture.stages import COMMANDS, METHOD, Snapshots, Started, leftovers, made, record, tracebacks, words

pytestmark = pytest.mark.slow

KILLS = 20
"""A stage, in turn of the group, the parent and one worker."""
TARGETS = ("group", "parent", "worker")
STARTING, ENDING = 0.3, 0.8
"""Parts of a command's time: before the first Python only imports, and after the second it may have ended already."""


def strike(snapshots: Snapshots, stage: str, number: int, target: str, draws: random.Random) -> tuple[bool, int, str]:
    """Send a signal to a stage at a drawn moment: whether it came in time, the exit status, what was said."""
    snapshots.restore(stage)
    started = Started.of(words(stage), snapshots.project)
    time.sleep(snapshots.seconds[stage] * draws.uniform(STARTING, ENDING))
    in_time = started.send(number, target)
    return in_time, *started.ended()


@pytest.mark.parametrize("stage", COMMANDS)
def test_kills(snapshots, tally, stage):
    draws, hits, row = random.Random(f"17 {stage}"), 0, f"`kill -9`, {stage}"
    for number in range(KILLS):
        tally.tried(row)
        in_time, code, text = strike(snapshots, stage, signal.SIGKILL, TARGETS[number % len(TARGETS)], draws)
        assert code in ((0, -signal.SIGKILL, 2) if in_time else (0,)), text
        assert not tracebacks(text), text
        snapshots.resume(stage)
        hits += in_time
        tally.holds(row, note=f"{hits} before it had ended")
    assert hits > KILLS // 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize("stage", COMMANDS)
def test_interrupts(snapshots, tally, stage, number):
    draws, hits, row = random.Random(f"17 {stage}"), 0, f"{number.name}, {stage}"
    for target in ("group", "parent"):
        tally.tried(row)
        in_time, code, text = strike(snapshots, stage, number, target, draws)
        assert code in (0, 128 + number, -number), text  # the last where Python itself had ended
        assert not tracebacks(text), text
        assert "RUNNING" not in [run["status"] for run in record(snapshots.project)]
        snapshots.resume(stage)
        hits += in_time
        tally.holds(row, note=f"{hits} before it had ended")


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
        in_time = started.send(number, "group")
        _, text = started.ended()
        assert in_time, text
    code, text = Started.of(repro, snapshots.project).ended()
    assert code == 0, text
    assert without_code(made(snapshots.project)) == without_code(made(snapshots.after("crf")))
    assert leftovers(snapshots.project) == []
    tally.holds(row, note="stopped twice, then run to its end")


def stages_up_to(stage: str) -> list[str]:
    """The stages that ``dvc repro`` runs for one."""
    return [*COMMANDS][: [*COMMANDS].index(stage) + 1]


def without_code(files: dict[str, bytes]) -> dict[str, bytes]:
    """Leave out what the stage ``code`` makes, which is DVC's alone."""
    return {name: content for name, content in files.items() if not name.startswith("artifacts/code")}
