"""What the live maps label equals the slow twin, pixel by pixel."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.parity.public import photo
from tests.reference.reliable import sure_labels_slow
from wsgcn.ops.densecrf import dense_crf
from wsgcn.ops.scores import with_background
from wsgcn.segtrain.reliable import reliable_labels, sure_labels

RULE = {"min_prob": 0.8, "confident_share": 0.4, "cam_floor": 0.1, "min_background": 0.8}
CRF = SimpleNamespace(
    iterations=3, gaussian_sxy=3, gaussian_compat=3, bilateral_sxy=20, bilateral_srgb=13, bilateral_compat=10
)
PARAMS = SimpleNamespace(alphas=(4, 32), crf=CRF, stride=1, **RULE)


def _blobs(classes, height=24, width=30, seed=0):
    """Smooth maps in [0, 1], low on much of the photograph."""
    rgb_u8 = photo(height, width)
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    maps = []
    for _ in range(classes):
        (top, left), size = random.random(2) * (height, width), 4 + 4 * random.random()
        maps.append(np.exp(-((y - top) ** 2 + (x - left) ** 2) / (2 * size**2)))
    maps = np.stack(maps) + 0.02 * random.random((classes, height, width))
    return (maps / (maps.max(axis=(1, 2), keepdims=True) + 1e-5)).astype(np.float32), rgb_u8


@pytest.mark.parametrize(("classes", "seed"), [(1, 0), (2, 1), (3, 2), (3, 3)])
def test_equals_the_slow_rule(classes, seed):
    cams, rgb_u8 = _blobs(classes, seed=seed)
    low, high = (dense_crf(with_background(cams, alpha), rgb_u8, CRF) for alpha in PARAMS.alphas)
    expected = sure_labels_slow(cams, low, high, alpha_high=32, **RULE)
    found = reliable_labels(cams, rgb_u8, PARAMS)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(found)) > 2  # a class, background or another class, and what is not sure


@pytest.mark.parametrize("seed", range(4))
def test_equals_the_slow_rule_on_noise(seed):
    """Where CRFs and maps contradict each other in every way."""
    random = np.random.default_rng(seed)
    cams = (random.random((2, 12, 15)) ** 4).astype(np.float32)
    low, high = (random.dirichlet(np.full(3, 0.2), (12, 15)).transpose(2, 0, 1).astype(np.float32) for _ in range(2))
    expected = sure_labels_slow(cams, low, high, alpha_high=32, **RULE)
    np.testing.assert_array_equal(sure_labels(cams, low, high, PARAMS), expected)
    assert set(np.unique(expected).tolist()) == {0, 1, 2, 255}


@pytest.mark.parametrize(
    ("cam", "low", "high", "expected"),
    [
        # Of five values two fifths are 0.9 and 0.8, of which the first exceeds the second.
        ([0.9, 0.8, 0.7, 0.6, 0.5, 0], [0.9] * 5 + [0.1], [0.9] * 5 + [0.1], [1, 255, 255, 255, 255, 0]),
        # The second CRF's background overrules what the map is sure of.
        ([0.9, 0.8, 0.7, 0.6, 0.5, 0], [0.9] * 5 + [0.1], [0.1] + [0.9] * 4 + [0.1], [0, 255, 255, 255, 255, 0]),
        # Not likely enough in either.
        ([0.9, 0.8, 0.7, 0.6, 0.5, 0], [0.7] + [0.9] * 4 + [0.1], [0.7] + [0.9] * 4 + [0.1], [255] * 5 + [0]),
        # What the maps are sure is background may be what both CRFs call a class, as published.
        ([0.05, 0.0, 0.0, 0.0, 0.0, 0], [0.9] * 5 + [0.1], [0.9] * 5 + [0.1], [255, 1, 1, 1, 1, 0]),
        # Background that the first CRF finds nowhere is sure nowhere.
        ([0.9, 0.8, 0.7, 0.6, 0.5, 0], [0.9] * 6, [0.9] * 5 + [0.1], [1, 255, 255, 255, 255, 255]),
    ],
)
def test_by_hand(cam, low, high, expected):
    probs = [np.stack([1 - np.float32(one), np.float32(one)])[:, None] for one in (low, high)]
    assert sure_labels(np.float32(cam)[None, None], *probs, PARAMS).tolist() == [expected]


def test_maps_that_are_0_everywhere_label_nothing_foreground():
    found = reliable_labels(np.zeros((2, 12, 15), np.float32), photo(12, 15), PARAMS)
    assert set(np.unique(found)) == {0}
