"""The dense CRF equals pydensecrf called by hand."""

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
import pydensecrf.densecrf
import pytest

from wsgcn.errors import DataError
from wsgcn.ops.densecrf import LATTICE_KEY, bilateral_filter, dense_crf, label_probs, require_lattice


@dataclass(frozen=True)
class Numbers:
    iterations: int = 3
    gaussian_sxy: float = 3
    gaussian_compat: float = 3
    bilateral_sxy: float = 20
    bilateral_srgb: float = 5
    bilateral_compat: float = 10


def _case(classes: int, height: int = 12, width: int = 17, seed: int = 0):
    random = np.random.default_rng(seed)
    probs = random.dirichlet(np.ones(classes), (height, width)).transpose(2, 0, 1).astype(np.float32)
    return probs, random.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("classes", [2, 3, 21])
def test_equals_pydensecrf_called_directly(classes):
    probs, rgb = _case(classes)
    numbers = Numbers()
    crf = pydensecrf.densecrf.DenseCRF2D(17, 12, classes)
    crf.setUnaryEnergy(-np.log(np.maximum(probs, np.float32(1e-5))).reshape(classes, -1).copy(order="C"))
    crf.addPairwiseGaussian(sxy=3, compat=3)
    crf.addPairwiseBilateral(sxy=20, srgb=5, rgbim=rgb.copy(), compat=10)
    expected = np.array(crf.inference(3)).reshape(classes, 12, 17)
    np.testing.assert_allclose(dense_crf(probs, rgb, numbers), expected, atol=1e-6)


def test_no_iteration_gives_the_input():
    probs, rgb = _case(3)
    np.testing.assert_array_equal(dense_crf(probs, rgb, Numbers(iterations=0)), probs)


def test_one_class_gives_the_input():
    _, rgb = _case(2)
    probs = np.ones((1, 12, 17), dtype=np.float32)
    np.testing.assert_array_equal(dense_crf(probs, rgb, Numbers()), probs)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (12, 17)])
def test_probabilities_sum_to_one(size):
    probs, rgb = _case(4, *size)
    refined = dense_crf(probs, rgb, Numbers())
    assert refined.dtype == np.float32
    assert refined.shape == probs.shape
    np.testing.assert_allclose(refined.sum(axis=0), 1, atol=1e-4)


def test_certain_probabilities_stay_finite():
    hard = label_probs(np.arange(12 * 17).reshape(12, 17) % 2, 2, 1.0)
    assert np.isfinite(dense_crf(hard, _case(2)[1], Numbers())).all()


def test_without_compatibilities_the_probabilities_are_kept():
    probs, rgb = _case(3)
    kept = dense_crf(probs, rgb, replace(Numbers(), gaussian_compat=0, bilateral_compat=0))
    np.testing.assert_allclose(kept, probs, atol=1e-4)


def test_input_is_not_changed_and_need_not_be_contiguous():
    probs, rgb = _case(3)
    before = probs.copy()
    views = probs[:, ::-1, ::-1], rgb[::-1, ::-1]
    copies = views[0].copy(), views[1].copy()
    np.testing.assert_array_equal(dense_crf(*views, Numbers()), dense_crf(*copies, Numbers()))
    np.testing.assert_array_equal(probs, before)


@pytest.mark.parametrize("shape", [(17, 12, 3), (12, 17), (12, 17, 4), (11, 17, 3)])
def test_photograph_of_another_size_is_refused(shape):
    probs, _ = _case(3)
    with pytest.raises(ValueError, match="does not fit"):
        dense_crf(probs, np.zeros(shape, dtype=np.uint8), Numbers())


@pytest.mark.parametrize("classes", [1, 2, 5])
def test_label_probs_share_the_rest(classes):
    labels = np.arange(6).reshape(2, 3) % classes
    probs = label_probs(labels, classes, 0.7)
    assert probs.dtype == np.float32
    np.testing.assert_allclose(probs.sum(axis=0), 1, atol=1e-6)
    np.testing.assert_array_equal(probs.argmax(axis=0), labels)
    np.testing.assert_allclose(probs.max(axis=0), 0.7 if classes > 1 else 1, atol=1e-6)


@pytest.mark.parametrize("small", [1e-4, 1e-6, 1e-30])
@pytest.mark.parametrize("name", ["gaussian_sxy", "bilateral_sxy", "bilateral_srgb"])
def test_what_the_library_has_no_room_for_is_refused(name, small):
    """At 1e-6 it aborts the process, at 1e-30 it is a segmentation fault."""
    probs, rgb = _case(2)
    with pytest.raises(DataError, match="a dense CRF of 17 x 12 cells cannot have standard deviations of"):
        dense_crf(probs, rgb, replace(Numbers(), **{name: small}))


def test_the_filter_alone_is_refused_too():
    probs, rgb = _case(2)
    with pytest.raises(DataError, match=r"of 17 x 12 cells .* 1e-06 grey levels: choose larger ones"):
        bilateral_filter(probs, rgb, 3, 1e-6)


def test_smallest_numbers_of_params_yaml_fit_a_photograph_of_a_megapixel():
    probs, rgb = _case(2, 96, 128)
    numbers = Numbers(iterations=1, gaussian_sxy=0.5, bilateral_sxy=0.5, bilateral_srgb=0.5)
    assert np.isfinite(dense_crf(probs, rgb, numbers)).all()
    require_lattice(1000, 1000, 0.5, 0.5)
    require_lattice(400, 2500, 0.5, 0.5)


def _largest_key(features) -> float:
    """Largest coordinate of a point, as ``Permutohedral::init`` computes them one after the other."""
    total, found = 0.0, []
    for at in range(len(features), 0, -1):
        scaled = features[at - 1] / math.sqrt(at * (at + 1)) * math.sqrt(2 / 3) * (len(features) + 1)
        found.append(abs(total - at * scaled))
        total += scaled
    return max(total, *found)


@pytest.mark.parametrize("colours", [None, 5.0, 0.5])
@pytest.mark.parametrize("size", [(375, 500), (100, 9000), (9000, 100), (5800, 8600)])
def test_limit_is_that_of_the_lattice(size, colours):
    def key(sigma: float) -> float:
        shades = [()] if colours is None else itertools.product([0, 255 / colours], repeat=3)
        corners = itertools.product((0, size[1] / sigma), (0, size[0] / sigma), shades)
        return max(_largest_key((x, y, *rgb)) for x, y, rgb in corners)

    smallest = next(one for one in np.geomspace(0.001, 100, 2000) if key(one) <= LATTICE_KEY)
    require_lattice(*size, smallest * 1.01, colours)
    with pytest.raises(DataError, match="choose larger ones"):
        require_lattice(*size, smallest * 0.99, colours)
