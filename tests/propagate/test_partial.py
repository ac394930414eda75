"""The partial labels equal the rule written pixel by pixel."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import changed
from tests.reference.propagate import partial_labels_dense
from wsgcn.ops.scores import above, with_background
from wsgcn.propagate.partial import confident_labels, partial_labels

RULE = {"min_prob": 0.4, "confident_share": 0.3, "cam_floor": 0.1, "min_background": 0.8}


def _case(classes, grid, seed):
    random = np.random.default_rng(seed)
    cams = random.random((classes - 1, *grid)) * (random.random(grid) < 0.7)  # a third is certain background
    probs = [random.dirichlet(np.full(classes, 0.3), grid).transpose(2, 0, 1) for _ in range(2)]
    return cams, *probs


def _rule(params):
    return params.propagate["gcn-i"].partial_labels


def _both(cams, low, high, alpha=32, **rule):
    slow = partial_labels_dense(cams, low, high, alpha_high=alpha, **RULE | rule)
    return confident_labels(cams, low, high, SimpleNamespace(alphas=(4, alpha), **RULE | rule)), slow


@given(
    st.integers(2, 4),
    st.integers(1, 5),
    st.integers(1, 6),
    st.integers(0, 9999),
    st.sampled_from([0.1, 0.3, 0.5, 1.0]),
    st.sampled_from([0.0, 0.4, 0.8]),
)
def test_equals_the_rule_pixel_by_pixel(classes, height, width, seed, share, min_prob):
    fast, slow = _both(*_case(classes, (height, width), seed), confident_share=share, min_prob=min_prob)
    np.testing.assert_array_equal(fast, slow)
    assert fast.dtype == np.uint8


@pytest.mark.parametrize("seed", range(5))
def test_equal_cams_are_kept_or_left_together(seed):
    cams, low, high = _case(3, (5, 6), seed)
    fast, slow = _both(np.round(cams * 4) / 4, low, high)
    np.testing.assert_array_equal(fast, slow)


@pytest.mark.parametrize("value", [0.0, 0.05, 1.0])
def test_constant_cam(value):
    _, low, high = _case(2, (4, 5), 0)
    fast, slow = _both(np.full((1, 4, 5), value), low, high, min_prob=0.0)
    np.testing.assert_array_equal(fast, slow)
    assert set(np.unique(fast)) <= {0.0: {0, 255}, 0.05: {255}, 1.0: {1, 255}}[value]


def test_a_case_with_every_outcome():
    fast, slow = _both(*_case(3, (8, 9), 2))
    np.testing.assert_array_equal(fast, slow)
    assert set(np.unique(fast)) == {0, 1, 2, 255}


def test_no_share_keeps_nothing_of_the_foreground():
    fast, slow = _both(*_case(3, (8, 9), 2), confident_share=0.0)
    np.testing.assert_array_equal(fast, slow)
    assert set(np.unique(fast)) == {0, 255}


def test_share_is_rounded_up_whatever_the_rounding_of_floats():
    cams = np.linspace(0.5, 1, 10).reshape(1, 2, 5)
    certain = np.stack([np.zeros((2, 5)), np.ones((2, 5))])
    for tenths in range(1, 11):
        fast, slow = _both(cams, certain, certain, confident_share=tenths / 10)
        assert (fast == 1).sum() == (slow == 1).sum() == tenths


def test_background_score_stands_in_front():
    cams = np.array([[[0.0, 0.5, 1.0]], [[0.0, 0.25, 0.0]]], dtype=np.float32)
    np.testing.assert_allclose(with_background(cams, 4), [[[1, 0.0625, 0]], *cams])


@pytest.mark.parametrize("axis", [0, 1])
def test_mirrored_picture_gives_mirrored_labels(axis, tiny_params):
    rule = _rule(changed(tiny_params, {"propagate.gcn-i.partial_labels.crf.iterations": 0}))
    cams = _case(3, (8, 9), 1)[0].astype(np.float32)
    rgb = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    labels = partial_labels(cams, rgb, rule)
    mirrored = partial_labels(np.flip(cams, axis + 1), np.flip(rgb, axis), rule)
    np.testing.assert_array_equal(mirrored, np.flip(labels, axis))


def test_clear_picture_is_labelled_right(tiny_params):
    cams = np.zeros((1, 20, 30), dtype=np.float32)
    cams[0, 5:15, 10:20] = 1
    rgb = np.where(cams[0, :, :, None] > 0, 220, 40).astype(np.uint8).repeat(3, axis=2)
    labels = partial_labels(cams, rgb, _rule(tiny_params))
    assert (labels[7:13, 12:18] == 1).all()
    assert (labels[:, :5] == 0).all()
    assert (labels[cams[0] == 0] != 1).all()


def test_nothing_activated_is_all_background(tiny_params):
    rgb = np.random.default_rng(0).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    labels = partial_labels(np.zeros((2, 6, 7), dtype=np.float32), rgb, _rule(tiny_params))
    assert (labels == 0).all()


def test_cut_is_the_new_zero():
    cams = np.array([[[0.0, 0.2, 0.6, 1.0]]], np.float32)
    np.testing.assert_allclose(above(cams, 0.2), [[[0, 0, 0.5, 1]]], atol=1e-7)
    np.testing.assert_array_equal(above(cams, 0), cams)
