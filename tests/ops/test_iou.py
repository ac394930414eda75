"""mIoU from counts and the paired bootstrap: by hand, against the slow twins, and by its properties."""

import numpy as np
import pytest

from tests.reference.confusion import difference_slow, miou_slow
from wsgcn.ops.iou import DRAWS, SEED, Interval, class_ious, mean_iou, miou_difference


def made_counts(seed, photographs=12, classes=4, quality=0.7):
    """Counts of made-up photographs of different size and content; not every class is in each."""
    random = np.random.default_rng(seed)
    there = random.integers(0, 900, (photographs, classes)) * (random.random((photographs, classes)) < 0.6)
    there[:, 0] += 100
    hits = random.binomial(there, quality)
    predicted = hits + random.integers(0, 90, hits.shape)
    return np.stack([hits, there, predicted], axis=2).astype(np.int32)


def test_by_hand():
    counts = np.array([[2, 3, 4], [0, 5, 0], [0, 0, 0], [1, 1, 1]])
    assert class_ious(counts)[[0, 1, 3]].tolist() == [2 / 5, 0, 1]
    assert np.isnan(class_ious(counts)[2])
    assert mean_iou(counts) == pytest.approx((2 / 5 + 0 + 1) / 3)
    assert mean_iou(np.zeros((2, 3), dtype=int)) == 0


def test_mean_is_that_of_each_of_several():
    counts = made_counts(0)
    assert mean_iou(counts).tolist() == pytest.approx([miou_slow(one.tolist()) for one in counts])


@pytest.mark.parametrize("photographs", [1, 2, 12, 40])
def test_difference_equals_the_slow_twin(photographs):
    first, second = made_counts(1, photographs), made_counts(2, photographs, quality=0.6)
    found = miou_difference(first, second)
    assert tuple(found) == pytest.approx(difference_slow(first, second, DRAWS, SEED), abs=1e-12)


def test_difference_of_the_same_labels_is_nothing():
    assert miou_difference(made_counts(3), made_counts(3)) == Interval(0, 0, 0)


def test_difference_turns_with_its_arguments_and_is_repeatable():
    first, second = made_counts(4), made_counts(5)
    there, back = miou_difference(first, second), miou_difference(second, first)
    assert tuple(back) == pytest.approx((-there.value, -there.high, -there.low))
    assert miou_difference(first, second) == there
    assert there.low < there.value < there.high


def test_photographs_are_paired():
    """Labels that are better by as much in every photograph differ for sure, however different photographs are."""
    first = made_counts(6, photographs=60)
    second = first.copy()
    second[:, :, 0] = first[:, :, 0] * 98 // 100
    found = miou_difference(first, second)
    assert found.excludes_zero
    assert found.high - found.low < 0.01
    apart = miou_difference(first, np.random.default_rng(0).permutation(second))
    assert apart.value == found.value
    assert apart.high - apart.low > 3 * (found.high - found.low)


def test_interval_covers_the_difference_as_often_as_it_says():
    """Of many samples of photographs from one population, about 95 % have an interval with its difference."""
    first, second = made_counts(7, photographs=4000), made_counts(8, photographs=4000, quality=0.68)
    second[:, :, 1] = first[:, :, 1]
    second[:, :, 0] = np.minimum(second[:, :, 0], first[:, :, 1])
    second[:, :, 2] = np.maximum(second[:, :, 0], second[:, :, 2])
    true = float(mean_iou(first.sum(axis=0)) - mean_iou(second.sum(axis=0)))
    random, covered = np.random.default_rng(9), 0
    for _ in range(200):
        chosen = random.choice(4000, 80, replace=False)
        found = miou_difference(first[chosen], second[chosen])
        covered += found.low <= true <= found.high
    assert 0.88 <= covered / 200 <= 0.99


@pytest.mark.parametrize(
    ("low", "high", "excluded"), [(0.1, 0.2, True), (-0.2, -0.1, True), (-0.1, 0.2, False), (0, 0.1, False)]
)
def test_zero_is_excluded_where_it_is_outside(low, high, excluded):
    assert Interval(0.05, low, high).excludes_zero == excluded


def test_counts_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="cannot be compared"):
        miou_difference(made_counts(0), made_counts(0)[1:])
    with pytest.raises(ValueError, match="cannot be compared"):
        miou_difference(made_counts(0)[:0], made_counts(0)[:0])
