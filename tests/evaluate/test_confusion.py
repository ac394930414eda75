"""The one definition of quality: by hand, against the slow twin, and by its properties."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.reference.confusion import confusion_slow, iou_counts_slow, iou_slow
from wsgcn.errors import DataError
from wsgcn.evaluate.confusion import (
    class_counts,
    confusion,
    count_labels,
    label_quality,
    labelled_share,
    partial_label_quality,
)

CLASSES = 4
LABELS = st.sampled_from([0, 1, 2, 3, 255])
MAPS = arrays(np.uint8, (5, 6), elements=LABELS)


def u8(*rows):
    return np.array(rows, dtype=np.uint8)


def test_by_hand():
    truth = u8([0, 0, 0, 1], [1, 1, 2, 255])
    found = u8([0, 0, 1, 1], [1, 255, 255, 2])
    counts = confusion(truth, found, 4)
    assert counts.tolist() == [[2, 1, 0, 0, 0], [0, 2, 0, 0, 1], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]
    quality = label_quality(counts, [0, 1, 2, 3])
    # class 0: 2 of 3 found; class 1: 2 hits, 3 true, 3 predicted; class 2: never found; class 3: nowhere
    assert quality.iou == {0: 2 / 3, 1: 2 / 4, 2: 0.0, 3: None}
    assert quality.miou == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert quality.pixel_accuracy == pytest.approx(4 / 7)
    assert quality.coverage == pytest.approx(5 / 7)


def test_unscored_classes_by_hand():
    truth = u8([0, 0, 1, 1, 2, 2])
    found = u8([0, 2, 1, 0, 0, 1])
    quality = label_quality(confusion(truth, found, 3), [0, 1])
    # the two pixels of class 2 do not exist, so what was predicted there is no false positive; class 2 on a pixel
    # of class 0 is a miss
    assert quality.iou == {0: 1 / 3, 1: 1 / 2}
    assert quality.pixel_accuracy == 0.5
    assert quality.coverage == 1


@given(MAPS, MAPS, st.sets(st.integers(0, 3), min_size=1))
def test_counts_by_class_equal_the_slow_twin(truth, found, listed):
    counts = class_counts(confusion(truth, found, CLASSES), sorted(listed))
    assert counts.tolist() == iou_counts_slow(truth, found, sorted(listed))


@given(MAPS, MAPS)
def test_equals_the_slow_twin(truth, found):
    assert (confusion(truth, found, CLASSES) == confusion_slow(truth, found, CLASSES)).all()


@given(MAPS, MAPS, st.sets(st.integers(0, 3), min_size=1))
def test_iou_equals_sets_of_pixels_and_is_never_nan(truth, found, listed):
    class_ids = sorted(listed)
    counts = confusion(truth, found, CLASSES)
    if not np.isin(truth, class_ids).any():
        with pytest.raises(DataError, match="no pixel"):
            label_quality(counts, class_ids)
        return
    quality = label_quality(counts, class_ids)
    assert quality.iou == pytest.approx(iou_slow(truth, found, class_ids))
    numbers = [quality.miou, quality.pixel_accuracy, quality.coverage]
    assert all(math.isfinite(number) and 0 <= number <= 1 for number in numbers)


@given(MAPS, MAPS, MAPS, MAPS)
def test_images_add_up(truth, found, truth2, found2):
    both = confusion(np.vstack([truth, truth2]), np.vstack([found, found2]), CLASSES)
    assert (both == confusion(truth, found, CLASSES) + confusion(truth2, found2, CLASSES)).all()


@given(MAPS)
def test_truth_scores_full_marks(truth):
    if (truth == 255).all():
        return
    quality = label_quality(confusion(truth, truth, CLASSES), range(CLASSES))
    assert (quality.miou, quality.pixel_accuracy, quality.coverage) == (1, 1, 1)


@given(MAPS, MAPS, st.integers(0, 29))
def test_removing_a_right_label_never_helps(truth, found, place):
    found = np.where(truth == 255, found, truth)
    if (truth == 255).all():
        return
    poorer = found.copy()
    poorer.flat[place] = 255
    before, after = (label_quality(confusion(truth, one, CLASSES), range(CLASSES)) for one in (found, poorer))
    assert after.miou <= before.miou
    assert after.coverage <= before.coverage


@given(MAPS)
def test_labels_without_truth_are_counted_by_class(found):
    counts = count_labels(found, CLASSES)
    assert counts.tolist() == [int((found == one).sum()) for one in (0, 1, 2, 3, 255)]
    assert labelled_share(counts) == pytest.approx((found != 255).mean())


def test_wrong_labels_and_sizes_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        confusion(u8([0, 1]), u8([0], [1]), 2)
    with pytest.raises(ValueError, match="number of classes"):
        confusion(u8([0, 1]), u8([0, 2]), 2)
    with pytest.raises(ValueError, match="number of classes"):
        confusion(u8([0, 7]), u8([0, 1]), 2)


def test_nothing_to_score():
    empty = confusion(u8([255, 255]), u8([0, 1]), 2)
    with pytest.raises(DataError, match="no pixel of the ground truth"):
        label_quality(empty, [0, 1])
    with pytest.raises(DataError, match="no cell of the ground truth"):
        partial_label_quality(empty, [0, 1])


def test_partial_quality_by_hand():
    truth = u8([0, 0, 1, 1, 2, 2, 255, 0])
    found = u8([0, 255, 1, 2, 255, 2, 1, 1])
    quality = partial_label_quality(confusion(truth, found, 3), [0, 1, 2])
    assert quality.share == pytest.approx({0: 1 / 7, 1: 2 / 7, 2: 2 / 7})
    assert quality.precision == {0: 1, 1: 1 / 2, 2: 1 / 2}
    assert quality.foreground_share == pytest.approx(4 / 7)
    assert quality.foreground_precision == 1 / 2


def test_partial_quality_of_no_labels():
    quality = partial_label_quality(confusion(u8([0, 1]), u8([255, 255]), 2), [0, 1])
    assert quality.share == {0: 0, 1: 0}
    assert quality.precision == {0: None, 1: None}
    assert quality.foreground_precision is None
