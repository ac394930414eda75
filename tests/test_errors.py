"""The errors a user sees: exit codes and one line each."""

import pickle

import pytest

from wsgcn.errors import DataError, StageError, UsageError, WsgcnError


@pytest.mark.parametrize(
    ("error", "code"),
    [(WsgcnError("x"), 1), (UsageError("x"), 2), (DataError("x"), 1), (StageError("crf", {"a": "x"}, 2), 1)],
)
def test_exit_code(error, code):
    assert error.exit_code == code
    assert isinstance(error, WsgcnError)


def test_stage_error_counts_and_lists_in_order_of_id():
    error = StageError("cams", {"b": "no picture", "a": "too small"}, 5)
    assert str(error).startswith("cams: 2 of 5 images failed")
    assert str(error).endswith("a: too small; b: no picture")
    assert "\n" not in str(error)
    assert error.failures == {"a": "too small", "b": "no picture"}


def test_stage_error_keeps_its_own_copy():
    failures = {"a": "x"}
    error = StageError("cams", failures, 1)
    failures["b"] = "y"
    assert list(error.failures) == ["a"]


@pytest.mark.parametrize("kind", [WsgcnError, UsageError, DataError])
def test_errors_come_back_whole_from_a_worker(kind):
    back = pickle.loads(pickle.dumps(kind("what is wrong")))  # noqa: S301
    assert type(back) is kind
    assert str(back) == "what is wrong"


def test_stage_that_made_nothing_names_the_first_few():
    failures = {f"{number:03}": f"{number:03}.npz is missing" for number in range(100)}
    message = str(StageError("crf", failures, 100))
    assert message.startswith("crf: 100 of 100 images failed")
    assert message.endswith("002: 002.npz is missing; and so all the other 97")
    assert "099" not in message
    assert "098" in str(StageError("crf", failures, 101))


def test_stage_that_made_nothing_names_every_one_where_reasons_differ():
    failures = {f"{number:03}": f"{number:03}.npz is missing" for number in range(99)} | {"099": "099.npz is broken"}
    message = str(StageError("crf", failures, 100))
    assert all(f"{image_id}: {reason}" in message for image_id, reason in failures.items())
