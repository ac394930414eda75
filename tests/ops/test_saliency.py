"""Saliency in the place of the CAMs' own background."""

import numpy as np
import pytest

from tests.reference.saliency import background_by_saliency_slow
from wsgcn.ops.saliency import background_by_saliency


@pytest.mark.parametrize("seed", range(5))
def test_equals_the_rule_pixel_by_pixel(seed):
    random = np.random.default_rng(seed)
    cams = random.integers(0, 9, (2, 9, 11)) / 8  # eighths, so that scores are equal now and then
    saliency = random.integers(0, 9, (9, 11)) / 8
    labels = random.choice([0, 1, 2, 255], (9, 11)).astype(np.uint8)
    found = background_by_saliency(labels, cams, saliency, 0.25, 0.5)
    np.testing.assert_array_equal(found, background_by_saliency_slow(labels, cams, saliency, 0.25, 0.5))
    assert found.dtype == np.uint8
    assert set(np.unique(found)) == {0, 1, 2, 255}


def test_by_hand():
    """Dark background, a salient thing without class, a class that does, one that does not, a CAM's own."""
    labels = np.array([[255, 0, 1, 1, 0]], np.uint8)
    cams = np.array([[[0.1, 0.1, 0.9, 0.3, 0.6]]])
    saliency = np.array([[0.0, 0.5, 1.0, 0.1, 0.7]])
    assert background_by_saliency(labels, cams, saliency, 0.125, 0.8).tolist() == [[0, 255, 1, 0, 255]]
    assert background_by_saliency(labels, cams, saliency, 0.1, 0.8).tolist() == [[0, 255, 1, 255, 255]]


def test_what_a_cam_is_certain_of_is_no_background_though_it_does_not_stand_out():
    cams = np.array([[[1.0, 0.81, 0.8, 0.2]], [[0.0, 0.1, 0.2, 0.3]]])
    labels = np.array([[1, 1, 1, 2]], np.uint8)
    assert background_by_saliency(labels, cams, np.zeros((1, 4)), 0.125, 0.8).tolist() == [[255, 255, 0, 0]]
    assert background_by_saliency(labels, cams, np.zeros((1, 4)), 0.125, 0.95).tolist() == [[255, 0, 0, 0]]
