"""Progress on the screen, live curves, and lines for the user."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

LogMetrics = Callable[[Mapping[str, float], int], None]
"""Called with metrics by name and a step, for live curves."""

Warn = Callable[[str], None]
"""Shows the user one line about something that is no error."""


@contextmanager
def progress_bar(label: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a bar with the remaining time on the error stream; the value is called once for each finished piece."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=total == 0) as progress:
        task = progress.add_task(label, total=total)
        yield lambda: progress.advance(task)
