"""From scores on the grid to a label for every pixel."""

import numpy as np
import pytest

from tests.conftest import changed
from wsgcn.crf.refine import refine
from wsgcn.ops.densecrf import dense_crf
from wsgcn.ops.resize import downscale_rgb, enlarge_scores, resize_maps
from wsgcn.ops.scores import to_probs

IDS = np.array([0, 2, 7])


def scores(grid=(6, 8), seed=0, classes=3):
    return np.random.default_rng(seed).random((classes, *grid), dtype=np.float32)


def photo(size=(23, 31), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def crf(tiny_params, iterations, softmax=False):
    return changed(tiny_params, {"crf.gcn.iterations": iterations, "crf.gcn.softmax": softmax}).crf["gcn"]


@pytest.mark.parametrize("softmax", [False, True])
@pytest.mark.parametrize("size", [(23, 31), (24, 32), (6, 8), (21, 29)])
def test_without_iterations_the_best_upsampled_class_wins(tiny_params, size, softmax):
    maps = scores()
    labels = refine(IDS, maps, photo(size), crf(tiny_params, 0, softmax))
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, IDS[resize_maps(maps, size).argmax(axis=0)])


@pytest.mark.parametrize("stride", [1, 2])
def test_logarithms_are_enlarged_where_the_crf_runs(tiny_params, stride):
    maps, numbers = scores() ** 4, crf(tiny_params, 3, softmax=True).model_copy(update={"stride": stride})
    enlarged = enlarge_scores(maps, (24 // stride, 32 // stride), True)
    labels = refine(IDS, maps, photo((24, 32)), numbers, logarithmic=True)
    np.testing.assert_array_equal(labels, refine(IDS, enlarged, photo((24, 32)), numbers))
    assert (labels != refine(IDS, maps, photo((24, 32)), numbers)).any()


@pytest.mark.parametrize("iterations", [0, 3])
def test_scores_count_in_proportion(tiny_params, iterations):
    one = refine(IDS, scores(), photo(), crf(tiny_params, iterations))
    ten = refine(IDS, 10 * scores(), photo(), crf(tiny_params, iterations))
    np.testing.assert_array_equal(one, ten)


def test_crf_follows_the_edges_of_the_photograph(tiny_params):
    """Scores are blurred over an edge at column 16; the labels end at the edge."""
    rgb_u8 = np.full((32, 32, 3), 30, np.uint8)
    rgb_u8[:, 16:] = 220
    ramp = np.clip((np.arange(8) - 2.2) / 3, 0.05, 0.95).astype(np.float32)
    maps = np.stack([np.tile(1 - ramp, (8, 1)), np.tile(ramp, (8, 1))])
    labels = refine(np.array([0, 5]), maps, rgb_u8, crf(tiny_params, 10))
    before = refine(np.array([0, 5]), maps, rgb_u8, crf(tiny_params, 0))
    expected = np.where(np.arange(32) >= 16, 5, 0)
    assert (before != expected).any()
    assert (labels == expected).all()


def test_softmax_leaves_certain_scores_open_to_the_photograph(tiny_params):
    """A spot of one cell in a uniform picture, certain of another class: only the softmax lets the CRF remove it."""
    maps = np.stack([np.full((8, 8), 0.9999, np.float32), np.full((8, 8), 1e-4, np.float32)])
    maps[:, 4, 4] = maps[::-1, 4, 4]
    grey = np.full((8, 8, 3), 128, np.uint8)
    spot = [refine(np.array([0, 5]), maps, grey, crf(tiny_params, 10, softmax))[4, 4] for softmax in (False, True)]
    assert spot == [5, 0]


@pytest.mark.parametrize("softmax", [False, True])
@pytest.mark.parametrize("value", [0.0, 1e-12, 0.5])
@pytest.mark.parametrize("classes", [2, 3])
def test_scores_that_say_nothing_give_labels_of_the_image(tiny_params, value, classes, softmax):
    maps = np.full((classes, 6, 8), value, np.float32)
    labels = refine(IDS[:classes], maps, photo(), crf(tiny_params, 3, softmax))
    assert labels.shape == (23, 31)
    assert set(np.unique(labels)) <= set(IDS[:classes])


def test_a_stride_is_the_crf_of_a_smaller_photograph_with_smaller_distances(tiny_params):
    rgb_u8, maps, halved = photo((24, 32)), scores(), crf(tiny_params, 3)
    small = downscale_rgb(rgb_u8, (12, 16))
    distances = {"gaussian_sxy": halved.gaussian_sxy / 2, "bilateral_sxy": halved.bilateral_sxy / 2}
    probs = dense_crf(to_probs(resize_maps(maps, (12, 16))), small, halved.model_copy(update=distances))
    labels = refine(IDS, maps, rgb_u8, halved.model_copy(update={"stride": 2}))
    np.testing.assert_array_equal(labels, IDS[resize_maps(probs, (24, 32)).argmax(axis=0)])


@pytest.mark.parametrize("size", [(23, 31), (1, 1)])
def test_a_stride_labels_every_pixel_of_any_size(tiny_params, size):
    labels = refine(IDS, scores(), photo(size), crf(tiny_params, 2).model_copy(update={"stride": 4}))
    assert labels.shape == size
    assert set(np.unique(labels)) <= set(IDS)
