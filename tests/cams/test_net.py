"""The classifier and the maps that its last layer gives."""

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from tests.conftest import changed
from wsgcn.cams.cam import class_activation_maps
from wsgcn.cams.fit import multi_hot, scale_range, train_classifier
from wsgcn.cams.net import build_cam_net, net_settings
from wsgcn.nets.backbone import features_of
from wsgcn.ops.resize import grid_size

CLASSES = 4


@pytest.fixture
def net(tiny_params):
    torch.manual_seed(0)
    return build_cam_net(tiny_params.cams.I, CLASSES, pretrained=False).eval()


def photo(height=45, width=62, seed=0):
    return torch.randn((3, height, width), generator=torch.Generator().manual_seed(seed))


def test_pooled_logits_are_the_mean_of_the_linear_maps(net):
    x = torch.stack([photo(seed=1), photo(seed=2)])
    with torch.inference_mode():
        linear = net.classifier(features_of(net.backbone, x)[-1])
        torch.testing.assert_close(net(x), linear.mean(dim=(2, 3)), rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(net.activation_maps(x), linear.clamp(min=0))
    assert net(x).shape == (2, CLASSES - 1)


@pytest.mark.parametrize("size", [(45, 62), (64, 33), (32, 32), (9, 70)])
@pytest.mark.parametrize("scales", [(1.0,), (0.5, 1.0, 1.5)])
def test_each_map_lies_in_0_to_1_and_reaches_1(net, size, scales):
    grid = grid_size(*size, 4)
    maps = class_activation_maps(net, photo(*size), (1, 3), scales, grid)
    assert maps.shape == (2, *grid)
    assert maps.dtype == np.float32
    assert maps.min() >= 0
    peaks = maps.max(axis=(1, 2))
    assert all(peak in (0, 1) for peak in peaks)
    assert peaks.any()


def test_class_that_is_activated_nowhere_is_0_everywhere(net):
    with torch.no_grad():
        net.classifier.weight[1] = -net.classifier.weight[1].abs()  # features are not negative
    maps = class_activation_maps(net, photo(), (1, 2), (1.0,), (12, 16))
    assert maps[1].max() == 0
    assert np.isfinite(maps).all()


def test_maps_of_a_class_do_not_depend_on_the_other_classes(net):
    together = class_activation_maps(net, photo(), (1, 2, 3), (1.0,), (12, 16))
    for position, class_id in enumerate((1, 2, 3)):
        alone = class_activation_maps(net, photo(), (class_id,), (1.0,), (12, 16))
        np.testing.assert_allclose(alone[0], together[position], atol=1e-6)


@pytest.mark.parametrize("size", [(48, 64), (45, 61)])
def test_mirrored_photograph_has_mirrored_maps(net, size):
    x, grid = photo(*size), grid_size(*size, 4)
    maps = class_activation_maps(net, x, (1, 2), (1.0,), grid)
    mirrored = class_activation_maps(net, x.flip(2), (1, 2), (1.0,), grid)
    np.testing.assert_allclose(mirrored[:, :, ::-1], maps, atol=1e-4)
    assert np.abs(mirrored - maps).max() > 0.01


def test_settings_name_what_decides_the_structure(tiny_params):
    settings = net_settings(tiny_params.cams.P, CLASSES)
    assert settings == {"backbone": "resnet-small", "output_stride": 8, "classes": CLASSES}


@pytest.mark.parametrize(("class_ids", "target"), [((1,), [1, 0, 0]), ((1, 3), [1, 0, 1]), ((), [0, 0, 0])])
def test_labels_become_a_vector_without_background(class_ids, target):
    assert multi_hot(class_ids, CLASSES - 1).tolist() == target


def test_training_learns_colours_and_follows_the_schedule(tiny_params):
    """Red photographs are class 1, blue ones class 2; the loss falls to a fraction."""
    params = changed(tiny_params, {"cams.I.train.epochs": 15, "cams.I.train.batch": 4}).cams.I
    torch.manual_seed(0)
    net = build_cam_net(params, 3, pretrained=False)
    colours = {"r0": (200, 40, 40), "r1": (180, 60, 50), "b0": (40, 40, 200), "b1": (50, 60, 180)}
    labels = {name: (1,) if name[0] == "r" else (2,) for name in colours}

    def load(name):
        return np.full((40, 40, 3), colours[name], np.uint8)

    history = train_classifier(
        net, labels, load, params.train, 0, Fabric(accelerator="cpu", devices=1), label="cams I", section="cams.I.train"
    )
    assert [step for step, _, _ in history] == list(range(15))
    assert history[-1][1] < 0.3 * history[0][1]
    rates = [rate for _, _, rate in history]
    assert rates[0] == pytest.approx(params.train.lr)
    assert rates == sorted(rates, reverse=True)
    assert not net.training


@pytest.mark.parametrize(("long_side", "expected"), [(500, (0.64, 1.28)), (320, (1.0, 2.0))])
def test_range_of_the_longer_side_becomes_a_range_of_factors(tiny_params, long_side, expected):
    values = {"cams.I.train.scale": None, "cams.I.train.long_side": (320, 640)}
    assert scale_range(changed(tiny_params, values).cams.I.train, long_side) == expected
    assert scale_range(tiny_params.cams.I.train, long_side) == tiny_params.cams.I.train.scale
