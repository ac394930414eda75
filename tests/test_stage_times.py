"""The table of how long each stage took."""

from itertools import count

from tests.stage_times import minutes, stage_times

LINES = """Running stage 'code':
> wsgcn code
Running stage 'cams@I':
Stage 'cams@P' didn't change, skipping
Running stage 'report':
Use `dvc push` to send your updates to remote storage.
"""


def test_a_stage_lasts_until_the_next_begins(capsys):
    ticks = count(step=10)
    times = list(stage_times(LINES.splitlines(keepends=True), clock=lambda: next(ticks)))
    assert [stage for stage, _ in times] == ["code", "cams@I", "report"]
    assert all(seconds > 0 for _, seconds in times)
    assert capsys.readouterr().out == LINES


def test_nothing_ran():
    assert list(stage_times(["Data and pipelines are up to date.\n"])) == []


def test_minutes():
    assert [minutes(one) for one in (0.4, 59.6, 61, 3599)] == ["0:00", "1:00", "1:01", "59:59"]
