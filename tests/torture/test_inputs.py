"""Ten thousand damaged files over every format that is read: processed, or named in one line.

ONNX is not among them: it is written and never read.
"""

import pytest

from tests.damage import CASES
from tests.test_damage import tried

INPUTS = 10_000


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_damaged_files_are_processed_or_named(tally, name):
    tally.tried(row := f"damaged {name}", number := -(-INPUTS // len(CASES)))
    processed, named = tried(CASES[name], number)
    assert processed + named >= number
    tally.holds(row, number, f"{processed} processed, {named} named")
