"""The affinity networks: how new layers are drawn."""

import pytest
import torch

from tests.conftest import changed
from wsgcn.nets.build import build_backbone


@pytest.mark.parametrize("head_init", ["pytorch", "kaiming"])
def test_new_heads_of_affinitynet(tiny_params, head_init):
    """PSA: normal of variance 2 / inputs; the last layer uniform within 4 √(6 / (inputs + outputs))."""
    kind = changed(tiny_params, {"affinity.affinitynet.train.head_init": head_init}).affinity["affinitynet"]
    torch.manual_seed(0)
    net = kind.network(build_backbone(kind.train.backbone, kind.train.output_stride, None), freeze=True)
    net.requires_grad_(False)
    for head in net.branches:
        inputs = head.weight.shape[1]
        spread = (2 / inputs) ** 0.5 if head_init == "kaiming" else (1 / 3 / inputs) ** 0.5
        assert head.weight.std() == pytest.approx(spread, rel=0.03)
        assert bool((head.weight.abs() > 2 * spread).any()) is (head_init == "kaiming")  # normal has tails
    limit = 4 * (6 / 896) ** 0.5 if head_init == "kaiming" else (1 / 448) ** 0.5
    assert 0.99 * limit < net.last.weight.abs().max() <= limit
