"""Progress: a bar in a terminal, lines in a log, nothing where nothing is to be done or nothing is to be said."""

import pytest

from wsgcn.runtime import progress
from wsgcn.runtime.progress import ProgressLines, duration, progress_bar


def shown(capsys, total=3, manner="2 processes"):
    with progress_bar("crf PSA", total, manner) as advance:
        for _ in range(total):
            advance()
    out, err = capsys.readouterr()
    assert out == ""
    return err


def test_a_log_gets_lines_on_the_error_stream(capsys):
    lines = shown(capsys).splitlines()
    assert lines[0] == "crf PSA: 3 to do, 2 processes"
    assert lines[1].startswith("crf PSA: 1/3, ")
    assert lines[-1] == "crf PSA: 3/3 in 0 s"


def test_a_terminal_gets_a_bar(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    text = shown(capsys)
    assert "3/3" in text
    assert "━" in text
    assert "to do" not in text


def test_no_work_says_nothing(capsys):
    assert shown(capsys, total=0) == ""


def test_quiet_says_nothing(capsys, monkeypatch):
    monkeypatch.setenv(progress.QUIET, "1")
    assert shown(capsys) == ""


def lines_of(total, seconds):
    """Lines of pieces that each take so long."""
    written, now = [], [0.0]
    lines = ProgressLines("x", total, "", written.append, lambda: now[0])
    for _ in range(total):
        now[0] += seconds
        lines.advance()
    return written


def test_many_quick_pieces_are_a_line_a_tenth():
    written = lines_of(1000, 0.1)
    assert len(written) == 1 + 10
    assert written[0] == "x: 1000 to do"
    assert written[1] == "x: 100/1000, 1 min 30 s left"
    assert written[-1] == "x: 1000/1000 in 1 min 40 s"


def test_few_slow_pieces_are_a_line_every_half_minute():
    assert len(lines_of(1000, 8)) == 1 + 250  # four pieces are 32 seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (3599, "59 min 59 s"), (7860, "2 h 11 min")],
)
def test_durations_are_for_people(seconds, text):
    assert duration(seconds) == text
