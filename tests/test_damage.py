"""Damaged files of every format: processed or named in one line, never a traceback. `tests/torture` tries thousands."""

import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests import chain
from tests.damage import (
    CASES,
    EDITS,
    NASTY_ARRAYS,
    NASTY_VALUES,
    Case,
    check,
    edited,
    png_of_size,
    replaced,
    spoilt_arrays,
    whole,
)
from wsgcn.errors import StageError
from wsgcn.store.fingerprints import read_fingerprint
from wsgcn.store.seal import write_sealed

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
            max_examples=examples,
            database=None,
            derandomize=False,
            phases=[Phase.generate],
            suppress_health_check=[*HealthCheck],
            report_multiple_bugs=False,
        )
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
    tried(CASES[name], 8)


PICTURES = [name for name in CASES if name.endswith(".png")]
RECORDS = ["cams.npz", "affinity.npz", "scores.npz", "seeds.npz", "counts.npz", "foreign.npz"]


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("side", [12_000, 60_000])
def test_a_picture_that_says_it_is_huge_is_named(tmp_path, name, side):
    path = whole(CASES[name], tmp_path)
    content = png_of_size(side, side)
    if name == "labels.png":
        write_sealed(path, lambda file: file.write(content))
        assert read_fingerprint(path) is None
    else:
        path.write_bytes(content)
    assert not check(CASES[name], path)


@pytest.mark.parametrize("name", RECORDS)
def test_arrays_that_say_they_are_huge_are_named_before_there_is_room(tmp_path, name):
    case = CASES[name]
    path = whole(case, tmp_path)
    with np.load(path, allow_pickle=False) as arrays:
        members = {one: arrays[one] for one in arrays.files}
    _, largest = max((one.nbytes, key) for key, one in members.items())

    def write(file):
        with zipfile.ZipFile(file, "w") as packed:
            for key, one in members.items():
                header = {"descr": one.dtype.str, "fortran_order": False, "shape": one.shape}
                shape = (10**6, 10**6) if key == largest else one.shape
                with packed.open(f"{key}.npy", "w") as member:
                    np.lib.format.write_array_header_1_0(member, header | {"shape": shape})
                    member.write(one.tobytes())

    write_sealed(path, write)
    assert not check(case, path)


def test_a_stage_makes_its_damaged_files_again(made, tiny_params, tiny_index):
    """A label map of 60,000 pixels a side, and scores with other numbers, in the place of what stages had made."""
    labels, scores = made.label_map("crf", "IRNet", "t0"), made.arrays("propagate", "IRNet", "t1")
    before = labels.read_bytes(), scores.read_bytes()
    labels.write_bytes(png_of_size(60_000, 60_000))
    scores.write_bytes(before[1].replace(b"\x3f", b"\x3e"))
    with pytest.raises(StageError, match=r"evaluate-labels: 2 of 6 .*t0: .*t0\.png .*t1: .*t1\.npz is broken"):
        chain.run_stage("evaluate-labels", "IRNet", tiny_params, made)
    chain.run_stages(["propagate", "crf"], tiny_params, made, "IRNet")
    assert (labels.read_bytes(), scores.read_bytes()) == before
    chain.run_stage("evaluate-labels", "IRNet", tiny_params, made)
