"""SEAM's network beside its slow twin, and what its parts promise."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.cams.seam_cases import CLASSES, photos, seam_params
from tests.reference import seam as reference
from wsgcn.cams import seam_net
from wsgcn.cams.seam_net import SeamNet, corner_to_corner, correlated, stretched, strongest_with_background
from wsgcn.nets.build import backbone_class, build_backbone
from wsgcn.nets.registry import BACKBONES


@pytest.fixture
def net(tiny_params):
    torch.manual_seed(0)
    return seam_params(tiny_params).cams["seam"].network(CLASSES, pretrained=False).eval()


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(3, 5), (9, 7), (4, 4), (1, 6)])
def test_resizing_keeps_the_corners(size):
    maps = random(1, 2, 4, 4)
    expected = reference.corner_to_corner(maps[0].double().numpy(), size)
    np.testing.assert_allclose(corner_to_corner(maps, size)[0].numpy(), expected, atol=1e-5)


def test_background_is_what_the_strongest_class_leaves():
    maps = torch.tensor([[0.2, 0.7, 0.5], [0.3, 0.1, 0.5]]).reshape(1, 2, 1, 3)
    expected = [[0.7, 0.3, 0.5], [0.0, 0.7, 0.5], [0.3, 0.0, 0.5]]  # both of two equals stay
    torch.testing.assert_close(strongest_with_background(maps), torch.tensor(expected).reshape(1, 3, 1, 3))
    several = random(1, 3, 4, 5).sigmoid()
    expected = reference.strongest_with_background(several[0].numpy())
    np.testing.assert_allclose(strongest_with_background(several)[0].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("block", [1, 7, 1024])
def test_correlation_is_that_of_its_twin_in_blocks_of_any_size(monkeypatch, block):
    monkeypatch.setattr(seam_net, "BLOCK", block)
    maps, features = random(2, 3, 20).sigmoid(), random(2, 4, 20, seed=1)
    found = correlated(maps, features)
    for one, its, ours in zip(maps, features, found, strict=True):
        np.testing.assert_allclose(ours, reference.correlate(one.double().numpy(), its.double().numpy()), atol=1e-5)


def test_pixels_that_look_alike_take_the_mean_and_others_stay():
    features = torch.tensor([[1.0, 2.0, 0.0], [0.0, 0.0, 1.0]])[None]  # the third is like no other
    found = correlated(torch.tensor([[[1.0, 0.0, 0.3]]]), features)
    torch.testing.assert_close(found, torch.tensor([[[0.5, 0.5, 0.3]]]), rtol=0, atol=1e-4)


@torch.no_grad()
def test_both_maps_follow_from_the_backbones(net):
    x = photos(2, 45, 62)
    cams, revised = net.maps(x)
    assert cams.shape == (2, CLASSES - 1, 45, 62)
    assert revised.shape == (2, CLASSES, 45, 62)
    taps, module = net.backbone(x), net.correlation
    for number in range(2):
        linear = net.classifier(taps[-1])[number].double().numpy()
        grid = linear.shape[1:]
        parts = [reference.corner_to_corner(x[number].numpy(), grid)]
        for branch, tap in zip(module.branches, taps[2:4], strict=True):
            parts.append(reference.corner_to_corner(branch(tap)[number].numpy(), grid).clip(0))
        weight = module.last.weight[:, :, 0, 0].numpy()
        features = weight @ np.concatenate(parts).reshape(weight.shape[1], -1)
        corrected = reference.correlate(reference.seeds(linear).reshape(CLASSES, -1), features)
        expected = reference.corner_to_corner(corrected.reshape(CLASSES, *grid), (45, 62))
        np.testing.assert_allclose(revised[number], expected, atol=1e-4)
        np.testing.assert_allclose(cams[number], reference.corner_to_corner(linear, (45, 62)), atol=1e-4)
    torch.testing.assert_close(net.activation_maps(x), revised[:, 1:])
    torch.testing.assert_close(net(x), cams.mean(dim=(2, 3)))


def test_correcting_teaches_only_the_module(net):
    net.maps(photos(1, 40, 48)).revised[:, 1].mean().backward()
    learned = {name for name, one in net.named_parameters() if one.grad is not None and one.grad.abs().max() > 0}
    assert learned == {"correlation.branches.0.weight", "correlation.branches.1.weight", "correlation.last.weight"}


def test_new_weights_of_the_module_are_the_published_ones(net):
    """Kaiming's deviation √(2 / in), Xavier's limit four times √(6 / (in + out))."""
    for branch, channels in zip(net.correlation.branches, net.backbone.channels[2:4], strict=True):
        assert branch.in_channels == channels
        assert float(branch.weight.detach().std()) == pytest.approx((2 / channels) ** 0.5, rel=0.05)
    limit = 4 * (6 / (195 + 192)) ** 0.5
    assert 0.98 * limit < float(net.correlation.last.weight.detach().abs().max()) <= limit
    assert [(*one.weight.shape[:2],) for one in net.correlation.modules() if isinstance(one, nn.Conv2d)] == [
        (64, 32),
        (128, 64),
        (192, 195),
    ]


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_can_be_corrected(backbone):
    stride = backbone_class(backbone).output_strides[0]
    net = SeamNet(build_backbone(backbone, stride, None), CLASSES - 1, 0).eval()
    with torch.no_grad():
        cams, revised = net.maps(photos(1, 33, 40))
    assert (*cams.shape, *revised.shape) == (1, CLASSES - 1, 33, 40, 1, CLASSES, 33, 40)
    assert revised.min() >= 0
    assert revised.max() <= 1


def test_stretched_maps_go_from_0_to_1():
    maps = np.array([[[0.25, 1.0], [0.5, 0.25]], [[1.0, 1.0], [1.0, 1.0]], [[0, 0], [0, 0]]], np.float32)
    expected = [[[0, 1], [1 / 3, 0]], [[0, 0], [0, 0]], [[0, 0], [0, 0]]]
    found = stretched(maps)
    np.testing.assert_allclose(found, expected, atol=1e-7)
    assert found.dtype == np.float32
