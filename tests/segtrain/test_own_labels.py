"""Own labels and their costs equal their slow twins, and do what they are for."""

import numpy as np
import pytest
import torch

from tests.reference import own_labels as reference
from wsgcn.segtrain.own_labels import own_label_costs, own_labels


def _masks(seed, classes=4, size=(5, 6)):
    logits = 4 * torch.randn((3, classes, *size), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return logits.softmax(1)


@pytest.mark.parametrize("numbers", [(0.6, 0.7, 0.2), (0.6, 0.7, 0.9), (0.3, 0.1, 0), (0, 0, 0)])
@pytest.mark.parametrize("seed", range(3))
def test_labels_equal_their_twin(numbers, seed):
    masks = _masks(seed)
    masks[:, 2] = 0  # of a class that is not shown
    found = own_labels(masks, *numbers)
    for one, expected in zip(found, masks):
        assert one.tolist() == reference.own_labels(expected.numpy(), *numbers).tolist()


def test_a_pixel_of_two_sure_classes_and_a_faint_one_have_no_label():
    masks = torch.zeros(1, 3, 1, 4)
    masks[0, 0] = torch.tensor([0.9, 0.1, 0.5, 0.0])
    masks[0, 1] = torch.tensor([0.1, 0.9, 0.7, 0.0])
    masks[0, 2] = torch.tensor([0.0, 0.0, 0.0, 0.15])
    assert own_labels(masks, 0.5, 0.5, 0.2).tolist() == [[[0, 1, 255, 255]]]
    assert own_labels(masks, 0.5, 0.5, 0.1).tolist() == [[[0, 1, 255, 2]]]
    assert own_labels(masks, 0.5, 0.6, 0.1).tolist() == [[[0, 1, 1, 2]]]  # now the background is not sure


def _random_case(seed):
    random = np.random.default_rng(seed)
    labels = random.choice([0, 1, 3, 255], (3, 5, 6))
    return torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(seed)), torch.from_numpy(labels)


@pytest.mark.parametrize("seed", range(3))
def test_costs_equal_their_twin(seed):
    logits, labels = _random_case(seed)
    shown = torch.tensor([[1.0, 0, 1], [1, 0, 0], [1, 0, 1]])
    found = own_label_costs(logits, labels, shown)
    expected = [
        reference.own_label_cost(*(one.numpy() for one in case)) for case in zip(logits, labels, shown, strict=True)
    ]
    assert found.tolist() == pytest.approx(expected, rel=1e-5)
    assert expected[0] > 0
    assert expected[1] == 0  # it has labels of a class that is not shown


def test_a_photograph_that_lacks_labels_of_a_class_costs_nothing():
    logits, labels = _random_case(0)
    shown = torch.tensor([[1.0, 0, 1]] * 3)
    assert (own_label_costs(logits, labels, shown) > 0).all()
    labels[0][labels[0] == 3] = 255
    labels[1][labels[1] == 0] = 255
    labels[2] = 255
    assert own_label_costs(logits, labels, shown).tolist() == [0, 0, 0]


def test_a_rare_class_counts_more():
    logits = torch.zeros(1, 2, 1, 10)
    labels = torch.zeros(1, 1, 10, dtype=torch.long)
    labels[..., 0] = 1
    logits.requires_grad_()
    own_label_costs(logits, labels, torch.ones(1, 1)).sum().backward()
    pulls = logits.grad[0].gather(0, labels[0][None])[0, 0]
    assert float(pulls[0] / pulls[1]) == pytest.approx(9)
