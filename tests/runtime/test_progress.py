"""Progress on the screen: on the error stream, and nothing where nothing is to be done."""

from wsgcn.runtime.progress import progress_bar


def test_a_bar_counts_on_the_error_stream(capsys):
    with progress_bar("crf PSA", 3) as advance:
        for _ in range(3):
            advance()
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "crf PSA" in shown.err
    assert "3/3" in shown.err


def test_no_work_shows_no_bar(capsys):
    with progress_bar("crf PSA", 0):
        pass
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "crf PSA" not in shown.err
