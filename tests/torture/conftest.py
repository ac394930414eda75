"""The project before and after each stage, and the table of docs/reliability.md, which ends a run of these tests."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest

pytest.register_assert_rewrite("tests.torture.stages")

from tests.torture.stages import Snapshots  # noqa: E402 - rewritten, so that a failure says what differs


@dataclass
class Tally:
    """How often each test was tried, and how often all held that it asserts."""

    tries: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    notes: dict[str, str] = field(default_factory=dict)

    def tried(self, row: str, number: int = 1) -> None:
        """Count tries that begin."""
        self.tries[row] += number

    def holds(self, row: str, number: int = 1, note: str = "") -> None:
        """Count tries in which all held, and say what else is to be known of them so far."""
        self.held[row] += number
        self.notes[row] = note

    def table(self) -> list[str]:
        """In Markdown."""
        rows = [("test", "tries", "held", ""), ("---",) * 4]
        rows += [(row, str(tries), str(self.held[row]), self.notes.get(row, "")) for row, tries in self.tries.items()]
        return [f"| {' | '.join(row)} |" for row in rows]


TALLY = pytest.StashKey[Tally]()


@pytest.fixture(scope="session")
def tally(pytestconfig: pytest.Config) -> Tally:
    """Takes what each test tried."""
    return pytestconfig.stash.setdefault(TALLY, Tally())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table."""
    if TALLY in config.stash:
        for line in config.stash[TALLY].table():
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def snapshots(tmp_path_factory: pytest.TempPathFactory) -> Snapshots:
    """A small demo before and after each stage."""
    return Snapshots.taken(tmp_path_factory.mktemp("torture"))
