"""An affinity network on a photograph: padding and mirror image as IRNet has them, and the weighted node features."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from tests.conftest import changed
from wsgcn.affinity.infer import affinity_of_photo, one_view_features, padded_features
from wsgcn.nets.build import build_backbone
from wsgcn.ops.resize import grid_size

STRIDE = 4


@pytest.fixture
def kind(tiny_params):
    def make(pad_to, weighted=False):
        values = {"affinity.boundary.infer.pad_to": pad_to, "affinity.boundary.infer.weighted": weighted}
        return changed(tiny_params, values).affinity["boundary"]

    return make


@pytest.fixture
def net(kind):
    torch.manual_seed(0)
    made = kind(None)
    net = made.network(build_backbone(made.train.backbone, made.train.output_stride, None), freeze=True)
    torch.nn.init.normal_(net.last.weight)
    return net.eval().requires_grad_(False)


def test_padded_boundary_is_the_sigmoid_of_both_views_mean_logits(net, kind):
    """IRNet's words: pad at the right and the bottom after mirroring, average logits, crop."""
    x = torch.randn(1, 3, 45, 62)
    rows, columns = grid_size(45, 62, STRIDE)
    logits = []
    for view in (x, x.flip(-1)):
        padded = functional.pad(view, (0, 96 - 62, 0, 96 - 45))
        maps = net.last(net.node_features(net.taps(padded), (24, 24)))
        logits.append(maps[..., :rows, :columns])
    expected = torch.sigmoid(logits[0] / 2 + logits[1].flip(-1) / 2)
    found = net.affinity_maps(kind(96).features(net, x))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    alone = net.affinity_maps(kind(None).features(net, x))
    assert (found - alone).abs().max() > 1e-3


def test_a_mirrored_photograph_has_the_mirrored_features(net):
    x = torch.randn(1, 3, 40, 64)
    found = padded_features(net, x.flip(-1), STRIDE, 80).flip(-1)
    torch.testing.assert_close(found, padded_features(net, x, STRIDE, 80), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("size", "padded"), [((40, 50), (64, 64)), ((64, 65), (64, 80)), ((97, 30), (112, 64))])
def test_a_side_longer_than_the_square_goes_to_the_next_multiple_of_16(net, monkeypatch, size, padded):
    seen = []
    taps = net.taps
    monkeypatch.setattr(net, "taps", lambda x: seen.append(tuple(x.shape[2:])) or taps(x))
    features = padded_features(net, torch.zeros(1, 3, *size), STRIDE, 64)
    assert seen == [padded, padded]
    assert tuple(features.shape[2:]) == grid_size(*size, STRIDE)


def test_weighted_nodes_sum_up_to_the_boundarys_logit(net, kind):
    features = one_view_features(net, torch.randn(1, 3, 40, 48), STRIDE)
    nodes = kind(None, weighted=True).nodes(net, features)
    assert nodes.shape == features.shape
    logits = nodes.sum(dim=1, keepdim=True) + net.last.bias
    torch.testing.assert_close(torch.sigmoid(logits), net.affinity_maps(features), rtol=0, atol=1e-5)
    assert kind(None).nodes(net, features) is features


@pytest.mark.parametrize(("whole_cells", "stride"), [(False, 0), (True, 8)])
def test_whole_cells_pad_the_photograph_with_zeros(tiny_params, tmp_path, monkeypatch, whole_cells, stride):
    """PSA pads the normalised photograph up to a multiple of 8, at the right and the bottom."""
    kind = changed(tiny_params, {"affinity.affinitynet.infer.whole_cells": whole_cells}).affinity["affinitynet"]
    torch.manual_seed(0)
    net = kind.network(build_backbone(kind.train.backbone, kind.train.output_stride, None), freeze=True).eval()
    seen, taps = [], net.taps
    monkeypatch.setattr(net, "taps", lambda x: seen.append(x) or taps(x))
    rgb_u8 = np.random.default_rng(0).integers(0, 256, (43, 58, 3), dtype=np.uint8)
    Image.fromarray(rgb_u8).save(tmp_path / "photo.png")
    record = affinity_of_photo(kind, net, tmp_path / "photo.png", "cpu")
    x = net.backbone.to_input(rgb_u8)[None]
    expected = functional.pad(x, (0, 6, 0, 5)) if whole_cells else x
    assert torch.equal(seen[0], expected)
    assert record.features.shape == (448, 6, 8)
    assert int(record.stride) == stride
