"""What ordinary tests hold of the public modules is still so: numbers, names, and which parameters learn."""

import ast
import re

import pytest
import torch
from torch import nn

from tests.bench.test_networks import LEARNING
from tests.nets.sizes import FULL
from tests.parity.golden import MODULES, golden, mxnet_names, project, public_module
from tests.parity.public import MARKS, PUBLIC
from tests.weights import published
from tests.weights.golden import picture
from tests.weights.test_golden import GOLDEN, MXNET, mapping_digest
from wsgcn.nets.base import to_input
from wsgcn.weights.layouts import LAYOUTS

pytestmark = MARKS


@pytest.mark.parametrize("name", MODULES)
def test_golden_numbers_are_the_public_modules(name):
    names, found = golden(name)
    assert names == GOLDEN[name][0]
    for one, expected in zip(found, GOLDEN[name][1], strict=True):
        assert one == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_mxnet_names_are_those_of_psas_converter():
    ours = published.mxnet_names(FULL)
    assert mapping_digest(ours) == MXNET
    assert mxnet_names(list(ours.values())) == {theirs: name for name, theirs in ours.items()}


def learned(net, groups, loss):
    """Our names of what an optimiser with these groups changes after a backward pass."""
    loss.backward()
    given = {id(one) for group in groups for one in group if one.requires_grad and one.grad is not None}
    names = dict(net.named_parameters(remove_duplicate=False))
    return {key: one for key, one in names.items() if id(one) in given}


def assert_ours(entry, layout, found):
    pattern, count = LEARNING[entry]
    own = LAYOUTS[layout].convert(found)
    assert len(own) == count
    assert all(re.match(pattern, f"net.{name}") for name in own)


def batch():
    return torch.stack([to_input(picture())] * 2)


def test_irnets_classifier_learns_behind_its_second_stage():
    net = public_module("irnet-cam")
    net.train()
    stages = (net.stage3, net.stage4, net.classifier)
    out = net.stage2(net.stage1(batch())).detach()  # as its Net.forward, which CAM's replaces
    for stage in stages:
        out = stage(out)
    assert_ours("cams.irnet", "irnet-cam", learned(net, net.trainable_parameters(), out.square().mean()))


def test_irnets_branches_learn_alone():
    net = public_module("irnet-boundary")
    net.train()
    edge, field = net(batch())
    groups = net.trainable_parameters()
    assert [len(group) for group in groups] == [17, 22]
    loss = edge.square().mean() + field.square().mean()
    assert_ours("affinity.boundary", "irnet-boundary", learned(net, groups, loss))


@pytest.mark.parametrize(
    ("entry", "layout"), [("cams.psa", "psa-classifier"), ("affinity.affinitynet", "psa-affinitynet")]
)
def test_psas_networks_learn_from_their_second_stage_on(entry, layout):
    net = public_module(layout)
    groups = net.get_parameter_groups()  # train_cls.py and train_aff.py ask before they call train()
    net.train()
    for module in net.modules():
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            module.p = 0
    if layout == "psa-classifier":
        loss = net(batch()).square().mean()
    else:
        maps = net.forward_as_dict(batch())
        heads = (net.f8_3(maps["conv4"]), net.f8_4(maps["conv5"]), net.f8_5(maps["conv6"]))
        loss = net.f9(torch.cat(heads, dim=1)).square().mean()
    assert_ours(entry, layout, learned(net, groups, loss))


def test_deeplab_imagenet_groups_convolutions_with_layer_in_their_names():
    """Of its ``main.py`` this one function is run; torchvision's names are those of IRNet's ResNet."""
    source = ast.parse((PUBLIC / "deeplab-imagenet" / "main.py").read_text())
    (function,) = [one for one in source.body if isinstance(one, ast.FunctionDef) and one.name == "get_params"]
    scope = {"nn": nn}
    exec(compile(ast.Module([function], []), "main.py", "exec"), scope)
    with project("irn") as load:
        module = load("net.resnet50")
        resnet = module.ResNet(module.Bottleneck, (3, 4, 23, 3))
    resnet.aspp = nn.ModuleList(nn.Conv2d(8, 21, 3) for _ in range(4))
    counts = [len(list(scope["get_params"](resnet, key))) for key in ("1x", "10x", "20x")]
    assert counts == [103, 4, 4]
    assert sum(counts) == LEARNING["segtrain.deeplab"][1]
    caffe = public_module("deeplab-voc")
    assert [len(list(scope["get_params"](caffe, key))) for key in ("1x", "10x", "20x")] == [104, 4, 4]
