"""Ten thousand damaged files over every format that is read: processed, or named in one line.

    pytest -n 0 -m slow tests/torture/test_inputs.py -s

prints how many were processed and how many named. ONNX is not among them: it is written and never read.
"""

import sys

import pytest

from tests.damage import CASES
from tests.test_damage import tried

INPUTS = 10_000


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_damaged_files_are_processed_or_named(name):
    processed, named = tried(CASES[name], -(-INPUTS // len(CASES)))
    sys.stdout.write(f"| {name} | {processed + named} | {processed} | {named} |\n")
