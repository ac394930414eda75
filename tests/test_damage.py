"""Damaged files of every format: processed or named in one line, never a traceback. `tests/torture` tries thousands."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.damage import CASES, EDITS, NASTY_ARRAYS, NASTY_VALUES, Case, check, edited, replaced, spoilt_arrays, whole

each_case = pytest.mark.parametrize("name", CASES)


def tried(case: Case, examples: int) -> tuple[int, int]:
    """Damage a file in many ways; how many were processed, and how many named."""
    found = [0, 0]
    with tempfile.TemporaryDirectory() as folder:
        path = whole(case, Path(folder))
        content = path.read_bytes()
        assert check(case, path), "a whole file is refused"

        @seed(0)
        @settings(
            max_examples=examples, database=None, derandomize=False, phases=[Phase.generate],
            suppress_health_check=[*HealthCheck], report_multiple_bugs=False,
        )  # fmt: skip
        @given(st.data())
        def damage(data):
            beneath = bool(case.arrays or case.values) and data.draw(st.booleans())
            if not beneath:
                path.write_bytes(edited(content, data.draw(EDITS)))
            elif case.arrays:
                key = data.draw(st.sampled_from(sorted(case.arrays)))
                how = NASTY_ARRAYS[data.draw(st.integers(0, len(NASTY_ARRAYS) - 1))]
                case.write(path, spoilt_arrays(dict(case.arrays), key, how))
            else:
                value = data.draw(st.sampled_from(NASTY_VALUES))
                case.write(path, replaced(case.values, data.draw(st.floats(0, 1, exclude_max=True)), value))
            found[0 if check(case, path) else 1] += 1

        damage()
    return found[0], found[1]


@each_case
def test_a_damaged_file_is_processed_or_named(name):
    tried(CASES[name], 12)
