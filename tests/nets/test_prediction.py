"""Labels from probabilities: the likeliest class, after the CRF of the classes that are likely somewhere."""

import numpy as np

from wsgcn.nets import prediction
from wsgcn.nets.prediction import labels_of
from wsgcn.ops.densecrf import dense_crf


def test_without_a_crf_it_is_the_likeliest_class():
    probs = np.random.default_rng(1).dirichlet(np.ones(5), (4, 6)).transpose(2, 0, 1).astype(np.float32)
    found = labels_of(probs, np.zeros((4, 6, 3), np.uint8), None)
    assert found.dtype == np.uint8
    assert (found == probs.argmax(axis=0)).all()


def test_classes_that_are_likely_nowhere_take_no_part_in_the_crf(tiny_params, monkeypatch):
    random = np.random.default_rng(0)
    rgb_u8 = random.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    logits = random.normal(0, 1, (4, 20, 30)) + np.array([2, -9, 1, -9])[:, None, None]
    probs = (np.exp(logits) / np.exp(logits).sum(0)).astype(np.float32)
    whole = dense_crf(probs, rgb_u8, tiny_params.evaluate.seg_crf).argmax(axis=0)
    seen = []
    monkeypatch.setattr(prediction, "dense_crf", lambda *some: seen.append(some[0]) or dense_crf(*some))
    found = labels_of(probs, rgb_u8, tiny_params.evaluate.seg_crf)
    assert found.dtype == np.uint8
    assert (found == whole).all()
    assert set(np.unique(found)) == {0, 2}
    assert len(seen[0]) == 2
    assert np.allclose(seen[0].sum(axis=0), 1)
    labels_of(probs, rgb_u8, tiny_params.evaluate.seg_crf, likely=0)
    assert len(seen[1]) == 4


def test_the_best_class_counts_where_none_is_likely(tiny_params):
    probs = np.full((40, 4, 5), 0.02, np.float32)
    probs[7] += 0.01
    found = labels_of(probs, np.zeros((4, 5, 3), np.uint8), tiny_params.evaluate.seg_crf)
    assert (found == 7).all()
