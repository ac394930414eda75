"""A frozen batch norm inside of its convolution: the same map and the same gradients as one after the other."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from wsgcn.nets.base import freeze_norms
from wsgcn.nets.build import build_backbone
from wsgcn.nets.layers import ConvNorms, conv_norm, norm_relu
from wsgcn.nets.mobilenet_v2 import Depthwise
from wsgcn.nets.registry import BACKBONES


@pytest.fixture
def pair():
    """A convolution and a norm that has seen something, in float64."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        convolution, norm = nn.Conv2d(4, 6, 3, 2, 2, 2, groups=2, bias=False), nn.BatchNorm2d(6)
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
        for one in norm.parameters():
            nn.init.normal_(one)
    return convolution.double(), norm.double()


def photos(**kind):
    return torch.randn(2, 4, 9, 11, generator=torch.Generator().manual_seed(1), dtype=torch.float64, **kind)


@pytest.mark.parametrize("training", [False, True])
def test_map_and_gradients_are_those_of_one_after_the_other(pair, training):
    convolution, norm = pair
    norm.train(training)
    learned = [convolution.weight, norm.weight, norm.bias]
    results = []
    for forward in (lambda x: conv_norm(convolution, norm, x), lambda x: norm(convolution(x))):
        x = photos().requires_grad_()
        out = forward(x)
        results.append([out, *torch.autograd.grad((out**3).sum(), [x, *learned])])
    for ours, expected in zip(*results):
        torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)


def test_a_frozen_norm_is_no_layer_of_its_own(pair, monkeypatch):
    convolution, norm = pair
    norm.eval()
    monkeypatch.setattr(functional, "batch_norm", None)
    conv_norm(convolution, norm, photos())


def test_layers_without_a_norm_go_as_they_are(pair):
    convolution, norm = pair
    norm.eval()
    last = nn.Conv2d(6, 3, 1).double()
    layers = ConvNorms(convolution, norm, nn.ReLU(), last)
    torch.testing.assert_close(layers(photos()), last(torch.relu(norm(convolution(photos())))))
    assert next(iter(layers.state_dict())) == "0.weight"


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("gradient", [False, True])
def test_a_norm_writes_into_what_nothing_needs_any_more(pair, frozen, keep, gradient):
    norm = pair[1].train(not frozen)
    x = torch.randn(2, 6, 5, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    given, expected = x.clone(), torch.relu(norm(x))
    with torch.set_grad_enabled(gradient):
        out = norm_relu(norm, given, keep=keep)
    torch.testing.assert_close(out, expected, rtol=1e-12, atol=1e-12)
    written = frozen and not keep and not gradient
    assert (out.data_ptr() == given.data_ptr()) is written
    assert torch.equal(given, x) is not written


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_gives_the_maps_of_its_single_layers(name, sizes, monkeypatch):
    """With running statistics of a batch: new ones, mean 0 and variance 1, would hide what is missing."""
    net = build_backbone(name, 8, None).double()
    freeze_norms(net.train(), "all")
    for norm in (one for one in net.modules() if isinstance(one, nn.BatchNorm2d)):
        generator = torch.Generator().manual_seed(norm.num_features)
        norm.running_mean.normal_(0, 0.1, generator=generator)
        norm.running_var.uniform_(0.5, 2, generator=generator)
    net.eval()
    x = torch.randn(1, 3, 33, 41, dtype=torch.float64)
    given, folded = x.clone(), net(x)
    with torch.inference_mode():  # where maps are written into
        torch.testing.assert_close(net(given), folded, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(net.last_map(given), folded[-1], rtol=1e-9, atol=1e-9)
    assert torch.equal(given, x)
    for module in ("resnet", "resnet_38", "layers"):
        monkeypatch.setattr(f"wsgcn.nets.{module}.conv_norm", lambda convolution, norm, x: norm(convolution(x)))
    for ours, expected in zip(folded, net(x), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (1, 2), (1, 4), (2, 1)])
@pytest.mark.parametrize("size", [(8, 8), (9, 11), (3, 1)])
def test_depthwise_convolution_is_the_plain_one(stride, dilation, size):
    generator = torch.Generator().manual_seed(0)
    depthwise = Depthwise(4, 4, 3, stride, dilation, dilation, 4, bias=False).double()
    x = torch.randn(2, 4, *size, generator=generator, dtype=torch.float64, requires_grad=True)
    results = []
    for forward in (depthwise, lambda x: functional.conv2d(x, depthwise.weight, None, stride, dilation, dilation, 4)):
        out = forward(x)
        results.append([out, *torch.autograd.grad((out**3).sum(), [x, depthwise.weight])])
    for ours, expected in zip(*results):
        torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)


def test_depthwise_convolution_that_strides_is_in_full_precision_where_it_learns():
    x, depthwise = torch.randn(1, 4, 8, 8), Depthwise(4, 4, 3, 2, 1, 1, 4, bias=False)
    with torch.autocast("cpu", torch.bfloat16):
        assert depthwise(x).dtype == torch.float32
        assert depthwise.requires_grad_(False)(x).dtype == torch.bfloat16
