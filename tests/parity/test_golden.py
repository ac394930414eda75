"""Our steps give what the scripts of IRNet and PSA gave of the same small photograph; ``steps.py`` says how."""

import json

import pytest

from tests.conftest import changed
from tests.parity.steps import GOLDEN, PARAMS, difference, our_steps, read_golden, thinned

STEPS = [*json.loads(GOLDEN.read_text())["values"]]
SLACK = 1e-4
"""Of maps, and the share of labels; theirs divide CAMs by their maximum and 1e-5."""


@pytest.fixture(scope="module")
def golden():
    return read_golden()


@pytest.fixture(scope="module")
def found(golden, tmp_path_factory):
    return our_steps(tmp_path_factory.mktemp("ours"), golden[1])


def test_every_step_is_compared(found):
    assert [*found] == STEPS


@pytest.mark.parametrize("name", STEPS)
def test_a_step_gives_the_published_codes_values(golden, found, name):
    assert difference(name, thinned(name, found[name]), golden[0][name]) <= SLACK


@pytest.mark.parametrize(
    ("key", "value", "name"),
    [
        ("cams.irnet.infer.interpolation", "bilinear", "irnet cam"),
        ("cams.irnet.infer.interpolation", "bilinear", "irnet high_res"),
        ("cams.psa.infer.interpolation", "bilinear", "psa cam"),
        ("evaluate.cam_background", 0.15, "psa cam labels"),
        ("affinity.affinitynet.train.border", "mean", "psa photo, large crop"),
    ],
)
def test_without_a_setting_a_step_differs(golden, tmp_path, key, value, name):
    other = our_steps(tmp_path, golden[1], changed(PARAMS, {key: value}))
    assert difference(name, thinned(name, other[name]), golden[0][name]) > 10 * SLACK
