"""Our networks beside the public projects' own modules, with the same random weights, on the same photograph."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.parity.public import MARKS, ours, photo, scrambled
from wsgcn.affinity.infer import padded_features
from wsgcn.nets.base import to_input
from wsgcn.nets.deeplab import build_deeplab, multi_scale_logits, predict_probs
from wsgcn.nets.published import renamed

BGR_MEANS = (104.008, 116.669, 122.675)

pytestmark = MARKS


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


def test_boundary_as_irnet_infers_it(theirs, monkeypatch):
    resnet = theirs("irn", "net.resnet50")
    plain = resnet.resnet50
    monkeypatch.setattr(resnet, "resnet50", lambda pretrained=True, **others: plain(pretrained=False, **others))
    torch.manual_seed(0)
    edge = theirs("irn", "net.resnet50_irn").EdgeDisplacement()
    for name, parameter in edge.named_parameters():
        if parameter.dim() == 4:  # scaled so that nothing explodes
            parameter.normal_(0, (2 / parameter[0].numel()) ** 0.5 * (0.7 if "conv3" in name else 1))
    mine = ours("irnet-boundary", scrambled(edge, 1).state_dict())
    x = to_input(photo(375, 500))
    boundary, moves = edge(torch.stack([x, x.flip(-1)]))  # pads to 512, averages with the mirror image, crops
    found = mine.affinity_maps(padded_features(mine, x[None], 4, 512))[0]
    torch.testing.assert_close(found, boundary, rtol=0, atol=1e-5)
    padded = functional.pad(x[None], (0, 12, 0, 137))
    field = mine.displacement(mine.taps(padded), (128, 128))[0, :, :94, :125]
    torch.testing.assert_close(field, moves, rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [(96, 120), (75, 101)])
def test_psas_cam_and_features(theirs, size):
    x = to_input(photo(*size))[None]
    classifier = scrambled(theirs("psa", "network.resnet38_cls").Net(), 1)
    found = ours("psa-classifier", classifier.state_dict()).activation_maps(x)
    torch.testing.assert_close(found, classifier.forward_cam(x), rtol=1e-4, atol=1e-4)
    net = scrambled(theirs("psa", "network.resnet38_aff").Net(), 2)
    maps = net.forward_as_dict(x)
    heads = ((net.f8_3, "conv4"), (net.f8_4, "conv5"), (net.f8_5, "conv6"))
    features = functional.elu(net.f9(torch.cat([functional.elu(head(maps[name])) for head, name in heads], dim=1)))
    mine = ours("psa-affinitynet", net.state_dict())
    found = mine.node_features(mine.taps(x), tuple(features.shape[2:]))
    torch.testing.assert_close(found, features, rtol=1e-4, atol=1e-4)


def test_deeplabs_probabilities_at_test(theirs):
    """They subtract the means before they pad with zeros, ours is folded into the first convolution: so the border."""
    torch.manual_seed(0)
    net = scrambled(theirs("deeplab", "libs.models").DeepLabV2_ResNet101_MSC(21), 1)
    for name, module in net.named_modules():
        if isinstance(module, nn.BatchNorm2d) and "increase" in name:  # scaled so that nothing explodes
            module.weight.mul_(0.3)
    net.base.layer1.conv1.conv.weight.mul_(1 / 60)
    rgb_u8 = photo(97, 130)
    bgr = torch.from_numpy(rgb_u8[..., ::-1].astype(np.float32) - np.float32(BGR_MEANS)).permute(2, 0, 1)[None]
    logits = functional.interpolate(net(bgr.contiguous()), size=(97, 130), mode="bilinear", align_corners=False)
    mine = ours("deeplab-voc", net.state_dict())
    found = predict_probs(mine, rgb_u8, (1.0, 0.75, 0.5), flip=False, merge="max")
    torch.testing.assert_close(torch.from_numpy(found), logits.softmax(1)[0], rtol=0, atol=1e-3)


def test_logits_of_the_network_from_imagenet(theirs, monkeypatch):
    """Theirs is torchvision's, of which IRNet's ResNet-50 is a copy: its blocks stand in for torchvision here."""
    resnet = theirs("irn", "net.resnet50")
    torch.manual_seed(0)

    def resnet101(pretrained):
        net = resnet.ResNet(resnet.Bottleneck, [3, 4, 23, 3])
        net.avgpool, net.fc = nn.Identity(), nn.Identity()  # the last two, which are taken off
        return net

    torchvision = ModuleType("torchvision")
    torchvision.models = SimpleNamespace(resnet101=resnet101)
    monkeypatch.setitem(sys.modules, "torchvision", torchvision)
    net = scrambled(theirs("deeplab-imagenet", "libs.models").DeepLabPy_ResNet101_MSC(False), 1)
    for name, module in net.named_modules():
        if isinstance(module, nn.BatchNorm2d) and "bn3" in name:  # scaled so that nothing explodes
            module.weight.mul_(0.3)
    names = ((r"base\.model2\.aspp\.c", "aspp.branches."), (r"base\.model2\.", "backbone."))
    settings = {"backbone": "resnet-101-imagenet", "output_stride": 8, "classes": 21, "dilations": [6, 12, 18, 24]}
    mine = build_deeplab(settings, None).eval()
    mine.load_state_dict({renamed(key, names): one for key, one in net.state_dict().items()})
    x = to_input(photo(97, 130))[None]
    found = multi_scale_logits(mine, x, (1.0, 0.5, 0.75))
    for ours_, expected in zip(found, net.train()(x), strict=True):  # IRNet's norms never follow a batch
        torch.testing.assert_close(ours_, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))
    dilated = build_deeplab(settings | {"backbone": "resnet-101"}, None).eval()
    dilated.load_state_dict(mine.state_dict())
    assert not torch.allclose(multi_scale_logits(dilated, x, (1.0,))[0], found[0], atol=1e-3)


def test_drns_maps(theirs):
    torch.manual_seed(0)
    net = scrambled(theirs("drn", "drn").drn_d_105(pretrained=False), 3)
    net.out_middle, net.avgpool = True, nn.AdaptiveAvgPool2d(1)
    x = to_input(photo(97, 130))[None]
    _, maps = net(x)
    for index, found in zip((1, 2, 3, 5, 7), ours("drn-d-105", net.state_dict())(x), strict=True):
        size = float(maps[index].abs().mean())  # random weights make maps of any size
        torch.testing.assert_close(found, maps[index], rtol=0, atol=1e-4 * size)
