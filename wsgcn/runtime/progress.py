"""Progress on the screen or in a log, live curves, and lines for the user."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

LogMetrics = Callable[[Mapping[str, float], int], None]
"""Called with metrics by name and a step, for live curves."""

Warn = Callable[[str], None]
"""Shows the user one line about something that is no error."""

QUIET = "WSGCN_QUIET"
"""Environment variable: where it is set, only warnings and errors are shown. Option ``-q`` sets it."""
SHARE, SECONDS = 0.1, 30.0
"""A log gets a line when so much more is done, or so much time has passed."""


def is_quiet() -> bool:
    """Whether only warnings and errors are to be shown."""
    return is_set(QUIET)


def is_set(variable: str) -> bool:
    """Whether an environment variable says yes: anything but nothing, 0, false and no."""
    return os.environ.get(variable, "").lower() not in ("", "0", "false", "no")


@contextmanager
def progress_bar(label: str, total: int, manner: str = "") -> Iterator[Callable[[], None]]:
    """Show what is done and the remaining time on the error stream: a bar in a terminal, lines elsewhere.

    Args:
        label: what is done.
        total: its pieces.
        manner: how, such as the number of processes; said at the start.

    Yields:
        What is to be called for each finished piece.
    """
    console = Console(stderr=True, soft_wrap=True)
    if total == 0 or is_quiet():
        yield lambda: None
    elif console.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn(manner),
        )
        with Progress(*columns, console=console) as progress:
            task = progress.add_task(label, total=total)
            yield lambda: progress.advance(task)
    else:
        lines = ProgressLines(label, total, manner, lambda line: console.print(line, markup=False, highlight=False))
        yield lines.advance


class ProgressLines:
    """Progress for a log: a line at the start, one for each tenth or half a minute, and one at the end."""

    def __init__(
        self,
        label: str,
        total: int,
        manner: str,
        write: Callable[[str], object],
        clock: Callable[[], float] = time.monotonic,
    ):
        """Write the first line."""
        self._label, self._total, self._write, self._clock = label, total, write, clock
        self._done = self._told = 0
        self._start = self._last = clock()
        write(f"{label}: {total} to do{f', {manner}' if manner else ''}")

    def advance(self) -> None:
        """One more piece is done."""
        self._done += 1
        now = self._clock()
        passed = now - self._start
        if self._done == self._total:
            self._write(f"{self._label}: {self._total}/{self._total} in {duration(passed)}")
        elif self._done - self._told >= SHARE * self._total or now - self._last >= SECONDS:
            left = passed / self._done * (self._total - self._done)
            self._write(f"{self._label}: {self._done}/{self._total}, {duration(left)} left")
            self._told, self._last = self._done, now


def duration(seconds: float) -> str:
    """Seconds for people: ``48 s``, ``3 min 5 s``, ``2 h 10 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"
