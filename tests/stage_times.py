"""How long each stage of a pipeline took: ``dvc repro | python -m tests.stage_times`` ends in a table in Markdown.

What DVC prints passes through. A stage lasts until DVC speaks of the next one, so its time has DVC's own work in it.
With ``set -o pipefail`` the shell still sees that ``dvc repro`` failed.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator

RUNNING = re.compile(r"^Running stage '([^']+)'")


def stage_times(lines: Iterable[str], clock: Callable[[], float] = time.monotonic) -> Iterator[tuple[str, float]]:
    """Each stage that ran with its seconds, once the next begins or the lines end."""
    stage, start = None, clock()
    for line in lines:
        sys.stdout.write(line)
        sys.stdout.flush()
        if found := RUNNING.match(line):
            if stage is not None:
                yield stage, clock() - start
            stage, start = found[1], clock()
    if stage is not None:
        yield stage, clock() - start


def minutes(seconds: float) -> str:
    """As 1:02."""
    return f"{round(seconds) // 60}:{round(seconds) % 60:02}"


def main() -> None:
    """Pass DVC's output through, then write the table."""
    rows = list(stage_times(sys.stdin))
    rows.append(("all", sum(seconds for _, seconds in rows)))
    sys.stdout.write("\n| stage | min:s |\n|---|---|\n")
    sys.stdout.writelines(f"| `{stage}` | {minutes(seconds)} |\n" for stage, seconds in rows)


if __name__ == "__main__":
    main()
