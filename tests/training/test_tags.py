"""Learning from tags: targets, loss, and what is right."""

import pytest
import torch
from torch.nn import functional

from wsgcn.training.tags import answers, measured_answers, multi_hot, multi_label_loss


@pytest.mark.parametrize(("class_ids", "target"), [((1,), [1, 0, 0]), ((1, 3), [1, 0, 1]), ((), [0, 0, 0])])
def test_labels_become_a_vector_without_background(class_ids, target):
    assert multi_hot(class_ids, 3).tolist() == target


LOGITS = torch.tensor([[2.0, -1.0], [-3.0, 0.5], [1.0, -2.0]])
SHOWN = torch.tensor([[1.0, 1.0], [1.0, 0.0], [0.0, 0.0]])


def test_the_loss_is_the_mean_over_photographs_and_classes():
    expected = functional.binary_cross_entropy_with_logits(LOGITS, SHOWN)
    torch.testing.assert_close(multi_label_loss(LOGITS, SHOWN), expected)


def test_answers_are_counted_with_and_without_a_class():
    counts = answers(LOGITS, SHOWN)
    assert counts[:, :4].tolist() == [[2, 1, 1, 0], [1, 0, 2, 1]]
    found = measured_answers(counts)
    assert found.loss == pytest.approx(float(multi_label_loss(LOGITS, SHOWN)))
    assert found.accuracy == pytest.approx((1 / 2 + 0 + 0 + 1 / 2) / 4)
    assert found.chance == 0.5
