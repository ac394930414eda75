"""What all backbones share: normalised input, frozen norms and stages."""

import numpy as np
import pytest
import torch

from wsgcn.nets.base import Backbone, freeze_norms, freeze_stages, norms, to_input
from wsgcn.nets.build import backbone_class, build_backbone
from wsgcn.nets.registry import BACKBONES


def test_frozen_norms_neither_learn_nor_follow_the_batch():
    net = build_backbone("resnet-small", 8, None).train()
    freeze_norms(net)
    before = {key: one.clone() for key, one in net.state_dict().items()}
    sum(one.mean() for one in net(torch.randn(2, 3, 32, 32))).backward()
    after = net.state_dict()
    assert all(torch.equal(after[key], one) for key, one in before.items())
    assert all(parameter.grad is None for norm in norms(net) for parameter in norm.parameters())
    assert net.conv1.weight.grad is not None


@pytest.mark.parametrize("name", BACKBONES)
def test_frozen_stages_get_no_gradient_and_the_others_do(name, sizes):
    net = build_backbone(name, 8, None)
    freeze_stages(net, 3)
    net(torch.randn(1, 3, 40, 40))[-1].square().mean().backward()
    early = [one for stage in net.stages()[:3] for module in stage for one in module.parameters()]
    late = [one for stage in net.stages()[3:] for module in stage for one in module.parameters()]
    assert early
    assert all(one.grad is None for one in early)
    assert all(one.grad is not None for one in late)


def test_input_is_normalised_with_imagenets_numbers():
    rgb_u8 = np.zeros((2, 3, 3), np.uint8)
    rgb_u8[0, 1] = (255, 0, 51)
    x = to_input(rgb_u8)
    assert x.shape == (3, 2, 3)
    assert x.dtype == torch.float32
    expected = [(1 - 0.485) / 0.229, (0 - 0.456) / 0.224, (0.2 - 0.406) / 0.225]
    assert x[:, 0, 1].tolist() == pytest.approx(expected, abs=1e-5)
    assert all(torch.equal(backbone_class(name).to_input(rgb_u8), x) for name in BACKBONES)


def test_backbone_may_normalise_otherwise():
    class Other(Backbone):
        mean = (0.0, 0.5, 1.0)
        std = (1.0, 0.5, 2.0)

    assert Other.to_input(np.full((1, 1, 3), 255, np.uint8)).flatten().tolist() == [1, 1, 0]
