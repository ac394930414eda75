"""What all backbones share: normalised input, frozen norms and stages."""

import numpy as np
import pytest
import torch

from wsgcn.cams.net import build_cam_net
from wsgcn.nets.base import Backbone, freeze_norms, freeze_stages, norms, to_input
from wsgcn.nets.build import backbone_class, build_backbone
from wsgcn.nets.registry import BACKBONES
from wsgcn.params import load_params
from wsgcn.vocabulary import PRESET_FOLDER


@pytest.mark.parametrize(
    ("kind", "follow_the_batch", "learn"),
    [("none", True, True), ("statistics", False, True), ("affine", True, False), ("all", False, False)],
)
def test_norms_learn_and_follow_the_batch_unless_frozen(kind, follow_the_batch, learn):
    net = build_backbone("resnet-small", 8, None).train()
    freeze_norms(net, kind)
    before = {key: one.clone() for key, one in net.state_dict().items()}
    sum(one.mean() for one in net(torch.randn(2, 3, 32, 32))).backward()
    followed = {key for key, one in net.state_dict().items() if not torch.equal(before[key], one)}
    statistics = {key for key in before if key.endswith(("running_mean", "running_var", "num_batches_tracked"))}
    assert followed == (statistics if follow_the_batch else set())
    assert {one.grad is not None for norm in norms(net) for one in norm.parameters()} == {learn}
    assert net.conv1.weight.grad is not None


def test_58_tensors_of_norms_learn_in_irnets_classifier_and_none_in_psas():
    """As in the public code: scale and shift of the 29 norms of the last two residual stages, and none."""
    params = load_params(PRESET_FOLDER / "voc12.yaml")
    learning = []
    for source in ("irnet", "psa"):
        train = params.cams[source].train
        net = build_cam_net(train, 20, pretrained=False)
        freeze_stages(net.backbone, train.frozen_stages)
        freeze_norms(net.train(), train.freeze_norm)
        learning.append(sum(one.requires_grad for norm in norms(net) for one in norm.parameters()))
    assert learning == [58, 0]


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
