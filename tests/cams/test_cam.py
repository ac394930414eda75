"""The maps of one photograph."""

import numpy as np
import pytest
import torch
from PIL import Image

from tests.cams.conftest import photo
from wsgcn.cams.cam import class_activation_maps, photo_maps
from wsgcn.ops.resize import grid_size


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


def test_maps_of_a_file_are_those_of_its_normalised_photograph(net, tmp_path):
    rgb_u8 = np.random.default_rng(0).integers(0, 256, (21, 30, 3), dtype=np.uint8)
    Image.fromarray(rgb_u8).save(tmp_path / "photo.png")
    maps = photo_maps(net, tmp_path / "photo.png", (2, 3), (1.0,), 4, "cpu")
    expected = class_activation_maps(net, net.backbone.to_input(rgb_u8), (2, 3), (1.0,), (6, 8))
    np.testing.assert_array_equal(maps, expected)
