"""The list of label refinements."""

from typing import get_args

import numpy as np

from tests.conftest import real_content
from wsgcn.crf.base import Refinement
from wsgcn.crf.kinds import KINDS
from wsgcn.crf.refine import refine


def test_kinds_have_words_of_their_own_and_one_base_class():
    words = [word for kind in KINDS for word in get_args(kind.model_fields["kind"].annotation)]
    assert len(words) == len(set(words)) == len(KINDS)
    assert all(issubclass(kind, Refinement) for kind in KINDS)
    assert {entry["kind"] for entry in real_content()["crf"].values()} <= set(words)


def test_dense_crf_refines_with_its_own_numbers(tiny_params):
    random = np.random.default_rng(0)
    scores = random.random((2, 6, 8), dtype=np.float32)
    rgb_u8 = random.integers(0, 256, (23, 31, 3), dtype=np.uint8)
    for crf in tiny_params.crf.values():
        labels = crf.labels(np.array([0, 5]), scores, rgb_u8, True, (23, 31))
        np.testing.assert_array_equal(labels, refine(np.array([0, 5]), scores, rgb_u8, crf, True))
