"""All thresholds in one pass give the counts of labelling the photograph for each."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.reference.confusion import iou_counts_slow
from wsgcn.evaluate.confusion import class_counts, confusion
from wsgcn.evaluate.sweep import THRESHOLDS, Foreground, sweep_counts

SIZE = (4, 5)
TRUTH = arrays(np.uint8, SIZE, elements=st.sampled_from([0, 1, 2, 3, 255]))
LABELS = arrays(np.uint8, SIZE, elements=st.sampled_from([1, 2, 3]))
SCORES = st.one_of(st.floats(0, 1, width=32), st.sampled_from([np.float32(one) for one in (0, 0.05, 0.5, 0.95, 1)]))
LIMITS = arrays(np.float32, SIZE, elements=SCORES)


def test_thresholds_are_the_twentieths():
    assert pytest.approx([0.05 * number for number in range(1, 20)]) == THRESHOLDS


@given(TRUTH, LABELS, LIMITS, st.sets(st.integers(0, 3), min_size=1))
def test_counts_equal_those_of_each_threshold_by_itself(truth, labels, limits, listed):
    class_ids = sorted(listed)
    found = sweep_counts(truth, Foreground(labels, limits), class_ids)
    assert found.shape == (19, len(class_ids), 3)
    assert found.dtype == np.int32
    for threshold, counts in zip(THRESHOLDS, found):
        chosen = np.where(limits > np.float32(threshold), labels, 0).astype(np.uint8)
        assert counts.tolist() == iou_counts_slow(truth, chosen, class_ids)
        assert (counts == class_counts(confusion(truth, chosen, 4), class_ids)).all()


def test_order_of_the_classes_is_kept():
    truth = np.array([[0, 1, 2, 2]], dtype=np.uint8)
    found = Foreground(np.array([[1, 1, 2, 1]], dtype=np.uint8), np.array([[0.1, 0.9, 0.6, 0.3]], dtype=np.float32))
    counts = dict(zip(THRESHOLDS, sweep_counts(truth, found, [2, 0, 1]).tolist()))
    assert counts[0.05] == [[1, 2, 1], [0, 1, 0], [1, 1, 3]]
    assert counts[0.5] == [[1, 2, 1], [1, 1, 2], [1, 1, 1]]
    assert counts[0.95] == [[0, 2, 0], [1, 1, 4], [0, 1, 0]]
