"""Two processes do the same stage of one project at once: both end well, and leave what one alone leaves."""

from __future__ import annotations

import random
import time

import pytest

from tests.torture.stages import COMMANDS, Started, tracebacks, words

pytestmark = pytest.mark.slow


def warned(text: str) -> set[str]:
    """The lines that warn."""
    return {line for line in text.splitlines() if "warning:" in line.lower()}


@pytest.mark.parametrize("stage", COMMANDS)
def test_two_processes_do_a_stage(snapshots, tally, stage):
    tally.tried(row := f"two processes at once, {stage}")
    snapshots.restore(stage)
    both = []
    for _ in range(2):
        both.append(Started.of(words(stage), snapshots.project))
        time.sleep(random.Random(stage).uniform(0, 1))
    ends = [started.ended() for started in both]
    assert [code for code, _ in ends] == [0, 0], ends
    text = "".join(text for _, text in ends)
    assert not tracebacks(text), text
    # so short a training is warned of, by one process too
    assert not warned(text) - warned(snapshots.said[stage]), text
    snapshots.check(stage)
    tally.holds(row)
