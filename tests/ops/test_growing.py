"""Seeded region growing equals a flood fill, cell by cell."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference.dsrg import grown_by_flooding
from wsgcn.ops.growing import grown

PUBLISHED = SimpleNamespace(foreground=0.85, background=0.99)


def _case(classes, grid, seed, seeded):
    """Probabilities of which many are near 0 and 1, and a share of cells with seeds, right or wrong."""
    random = np.random.default_rng(seed)
    probs = random.dirichlet(np.full(classes, 0.1), grid).transpose(2, 0, 1)
    seeds = random.integers(0, classes, grid).astype(np.uint8)
    seeds[random.random(grid) >= seeded] = 255
    return seeds, probs


def _both(seeds, probs, params=PUBLISHED):
    fast = grown(seeds, probs, params)
    assert fast.dtype == np.uint8
    return fast, grown_by_flooding(seeds, probs, params.foreground, params.background)


@given(
    st.integers(1, 4), st.integers(1, 7), st.integers(1, 8), st.integers(0, 9999), st.sampled_from([0, 0.1, 0.4, 1.0])
)
def test_equals_a_flood_fill(classes, height, width, seed, seeded):
    fast, slow = _both(*_case(classes, (height, width), seed, seeded))
    np.testing.assert_array_equal(fast, slow)


def _map(text):
    """Rows of digits; a dot is no label."""
    return np.array([[255 if one == "." else int(one) for one in row] for row in text.split()], dtype=np.uint8)


def _certain(text, classes=3):
    """Probabilities of 1, and equal ones at a dot."""
    labels = _map(text)
    return np.where(labels == 255, 1 / classes, labels == np.arange(classes)[:, None, None])


def test_regions_without_a_seed_are_left_out_and_corners_connect():
    found = grown(_map("1.... ..... ....0"), _certain("11..2 ..1.2 2.100"), PUBLISHED)
    np.testing.assert_array_equal(found, _map("11... ..1.. ..100"))


def test_a_seed_keeps_its_label_and_a_region_leads_past_it():
    found = grown(_map("12..."), _certain("1111."), PUBLISHED)
    np.testing.assert_array_equal(found, _map("1211."))


def test_a_seed_that_is_surely_of_another_class_does_not_grow():
    found = grown(_map("2...."), _certain("12222"), PUBLISHED)
    np.testing.assert_array_equal(found, _map("2...."))


def test_an_uncertain_seed_grows_into_what_is_certain():
    found = grown(_map(".1..."), _certain("..1.."), PUBLISHED)
    np.testing.assert_array_equal(found, _map(".11.."))


@pytest.mark.parametrize(("prob", "reached"), [(0.849, []), (0.851, [1]), (0.989, [1]), (0.991, [0, 1])])
def test_background_needs_more_than_foreground(prob, reached):
    for position in (0, 1):
        probs = np.full((2, 1, 3), 1 - prob)
        probs[position] = prob
        seeds = np.array([[position, 255, 255]], dtype=np.uint8)
        found = grown(seeds, probs, PUBLISHED)
        assert (found == position).sum() == (3 if position in reached else 1)
