"""The maps of one photograph."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from tests.cams.conftest import photo
from tests.conftest import changed
from wsgcn.cams.cam import VIEWS, activations, class_activation_maps, photo_maps
from wsgcn.ops.resize import grid_size


def maps_of(net, x, class_ids, scales, grid):
    """Of a normalised photograph, ``(3, H, W)``."""
    views = [functional.interpolate(x[None], scale_factor=one, mode="bilinear", antialias=True) for one in scales]
    return class_activation_maps(activations(net, views, class_ids), grid, grid)


@pytest.mark.parametrize("size", [(45, 62), (64, 33), (32, 32), (9, 70)])
@pytest.mark.parametrize("scales", [(1.0,), (0.5, 1.0, 1.5)])
def test_each_map_lies_in_0_to_1_and_reaches_1(net, size, scales):
    grid = grid_size(*size, 4)
    maps = maps_of(net, photo(*size), (1, 3), scales, grid)
    assert maps.shape == (2, *grid)
    assert maps.dtype == np.float32
    assert maps.min() >= 0
    peaks = maps.max(axis=(1, 2))
    assert all(peak in (0, 1) for peak in peaks)
    assert peaks.any()


def test_class_that_is_activated_nowhere_is_0_everywhere(net):
    with torch.no_grad():
        net.classifier.weight[1] = -net.classifier.weight[1].abs()  # features are not negative
    maps = maps_of(net, photo(), (1, 2), (1.0,), (12, 16))
    assert maps[1].max() == 0
    assert np.isfinite(maps).all()


def test_maps_of_a_class_do_not_depend_on_the_other_classes(net):
    together = maps_of(net, photo(), (1, 2, 3), (1.0,), (12, 16))
    for position, class_id in enumerate((1, 2, 3)):
        alone = maps_of(net, photo(), (class_id,), (1.0,), (12, 16))
        np.testing.assert_allclose(alone[0], together[position], atol=1e-6)


@pytest.mark.parametrize("size", [(48, 64), (45, 61)])
def test_mirrored_photograph_has_mirrored_maps(net, size):
    x, grid = photo(*size), grid_size(*size, 4)
    maps = maps_of(net, x, (1, 2), (1.0,), grid)
    mirrored = maps_of(net, x.flip(2), (1, 2), (1.0,), grid)
    np.testing.assert_allclose(mirrored[:, :, ::-1], maps, atol=1e-4)
    assert np.abs(mirrored - maps).max() > 0.01


@pytest.fixture
def infer(tiny_params):
    def make(**values):
        return changed(tiny_params, {f"cams.irnet.infer.{key}": one for key, one in values.items()}).cams["irnet"].infer

    return make


@pytest.fixture
def file(tmp_path):
    rgb_u8 = np.random.default_rng(0).integers(0, 256, (21, 30, 3), dtype=np.uint8)
    Image.fromarray(rgb_u8).save(tmp_path / "photo.png")
    return tmp_path / "photo.png", rgb_u8


def test_maps_of_a_file_are_those_of_its_normalised_photograph(net, file, infer):
    path, rgb_u8 = file
    maps, high_res = photo_maps(net, path, (2, 3), infer(scales=[1.0], stride=4), "cpu")
    expected = maps_of(net, net.backbone.to_input(rgb_u8), (2, 3), (1.0,), (6, 8))
    np.testing.assert_array_equal(maps, expected)
    assert high_res.size == 0


def test_stride_1_gives_a_value_to_each_pixel(net, file, infer):
    path, rgb_u8 = file
    maps, _ = photo_maps(net, path, (1, 3), infer(scales=[1.0], stride=1), "cpu")
    np.testing.assert_array_equal(maps, maps_of(net, net.backbone.to_input(rgb_u8), (1, 3), (1.0,), (21, 30)))


def test_a_cell_stays_over_its_own_pixels_and_the_maximum_is_that_of_the_pixels():
    """Bilinear interpolation continues a ramp: pixel x of a map of 8 pixels a cell has (x + 1/2) / 8 - 1/2."""
    ramp = torch.arange(4.0).expand(1, 1, 3, 4)
    maps = class_activation_maps([ramp, ramp], (24, 32), (21, 27))
    expected = (((np.arange(27) + 0.5) / 8 - 0.5).clip(0) / ((26.5) / 8 - 0.5))[None, None].repeat(21, axis=1)
    np.testing.assert_allclose(maps, expected, atol=1e-6)


def test_maps_of_high_resolution_are_those_of_whole_cells(net, file, infer):
    path, rgb_u8 = file
    assert net.backbone.strides[-1] == 8
    params = infer(scales=[1.0], stride=4, high_res=True)
    maps, high_res = photo_maps(net, path, (2, 3), params, "cpu")
    merged = activations(net, VIEWS["bilinear"](rgb_u8, net, (1.0,), "cpu"), (2, 3))
    np.testing.assert_array_equal(high_res, class_activation_maps(merged, (24, 32), (21, 30)))
    np.testing.assert_array_equal(maps, photo_maps(net, path, (2, 3), infer(scales=[1.0], stride=4), "cpu")[0])


def test_bicubic_views_are_pillows_and_bilinear_ones_smoother(net, file):
    rgb_u8 = file[1]
    half, whole = VIEWS["bicubic"](rgb_u8, net, (0.5, 1.0), "cpu")
    small = np.asarray(Image.fromarray(rgb_u8).resize((15, 10), Image.Resampling.BICUBIC))
    assert torch.equal(half[0], net.backbone.to_input(small))
    assert torch.equal(whole[0], net.backbone.to_input(rgb_u8))
    smooth, same = VIEWS["bilinear"](rgb_u8, net, (0.5, 1.0), "cpu")
    assert smooth.shape == half.shape
    assert smooth.std() < 0.97 * half.std()
    assert torch.equal(same, whole)
