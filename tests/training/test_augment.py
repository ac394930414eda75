"""Random crops, optimiser and schedule: what is drawn, what is padded, what every group learns with."""

import numpy as np
import pytest
import torch
from PIL import Image

from wsgcn.nets.base import to_input
from wsgcn.runtime.seeds import generator_for
from wsgcn.sections import Jitter
from wsgcn.training.augment import jittered, random_crop, random_view


def cropped(rgb_u8, labels, crop, scale=(1.0, 1.0), seed=0):
    return random_crop(rgb_u8, labels, crop, scale, generator_for(seed, "view"), to_input)


@pytest.fixture
def coded():
    """A photograph whose red and green tell the row and the column, and labels that tell the same."""
    rows, columns = np.mgrid[:12, :20].astype(np.uint8)
    rgb_u8 = np.stack([rows * 10, columns * 10, np.full_like(rows, 7)], axis=-1)
    return rgb_u8, rows * 20 + columns


def _as_it_is(rgb_u8):
    """Levels, ``(3, h, w)``, not normalised."""
    return torch.from_numpy(rgb_u8.transpose(2, 0, 1).copy())


def places(photo):
    """The row and column of each of its pixels."""
    red, green = photo[0] * 0.229 + 0.485, photo[1] * 0.224 + 0.456
    return (red * 255 / 10).round().int(), (green * 255 / 10).round().int()


@pytest.mark.parametrize("seed", range(8))
def test_crop_shows_the_same_place_in_photo_and_labels(coded, seed):
    photo, labels = cropped(*coded, crop=8, seed=seed)
    assert photo.shape == (3, 8, 8)
    assert photo.dtype == torch.float32
    assert labels.dtype == torch.uint8
    rows, columns = places(photo)
    assert torch.equal(rows * 20 + columns, labels.int())


@pytest.mark.parametrize("seed", range(8))
def test_small_picture_is_padded_around(coded, seed):
    photo, labels = cropped(*coded, crop=32, seed=seed)
    inside = labels != 255
    assert int(inside.sum()) == 12 * 20
    rows, columns = places(photo)
    assert torch.equal((rows * 20 + columns)[inside], labels[inside].int())
    assert torch.all(photo[:, ~inside] == 0)


def test_places_and_mirror_vary_and_reach_every_edge(coded):
    crops = [cropped(*coded, crop=8, seed=seed)[1] for seed in range(300)]
    mirrored = [bool(one[0, 0] > one[0, 1]) for one in crops]
    assert 0.4 < np.mean(mirrored) < 0.6
    assert {int(one.min()) // 20 for one in crops} == {0, 1, 2, 3, 4}
    assert {int(one.min()) % 20 for one in crops} == set(range(13))


def test_scale_is_drawn_from_the_range():
    rgb_u8, labels = np.zeros((40, 60, 3), np.uint8), np.zeros((40, 60), np.uint8)
    areas = [int((cropped(rgb_u8, labels, 200, (0.5, 2.0), seed)[1] == 0).sum()) for seed in range(200)]
    sides = np.sqrt(np.array(areas) / 2400)
    assert sides.min() < 0.55
    assert sides.max() > 1.95
    assert abs(sides.mean() - 1.25) < 0.1


def test_shrinking_smooths_and_labels_stay_class_ids():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[::2] = 255
    labels = np.where(np.arange(64)[:, None] < 32, 3, 255).repeat(64, 1).astype(np.uint8)
    photo, seen = cropped(stripes, labels, 32, (0.5, 0.5))
    grey = to_input(np.full((1, 1, 3), 128, np.uint8))[:, 0, 0]
    assert torch.allclose(photo[:, 8, 8], grey, atol=0.15)
    assert set(seen.unique().tolist()) == {3, 255}


@pytest.mark.parametrize("seed", range(8))
def test_maps_are_cropped_as_labels_are(coded, seed):
    _, labels = coded
    view = random_view((12, 20), 16, (1.0, 1.0), generator_for(seed, "view"))
    seen = view.labels(labels).numpy()
    maps = view.maps(np.stack([labels, labels / 2]).astype(np.float16))
    assert maps.shape == (2, 16, 16)
    inside = seen != 255
    np.testing.assert_allclose(maps[0][inside], seen[inside])
    np.testing.assert_allclose(maps[1][inside], seen[inside] / 2)
    assert (maps[:, ~inside] == 0).all()


def test_around_a_photograph_is_black_where_that_is_wanted(coded):
    rgb_u8, labels = coded
    view = random_view((12, 20), 32, (1.0, 1.0), generator_for(0, "view"))
    black, mean = (view.photo(rgb_u8, to_input, "bilinear", border) for border in ("black", "mean"))
    inside = view.labels(labels) != 255
    assert torch.equal(black[:, inside], mean[:, inside])
    assert torch.equal(black[:, ~inside][:, 0], to_input(np.zeros((1, 1, 3), np.uint8))[:, 0, 0])
    assert (mean[:, ~inside] == 0).all()


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("seed", range(4))
def test_a_crop_is_that_of_the_whole_photograph_resized(interpolation, seed):
    """IRNet and PSA resize the photograph with Pillow, then crop; Pillow rounds to levels."""
    rgb_u8 = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    generator = generator_for(seed, "view")
    photo, _ = random_crop(rgb_u8, None, 24, (0.8, 1.4), generator, _as_it_is, interpolation)
    factor = 0.8 + 0.6 * torch.rand(1, generator=generator_for(seed, "view"), dtype=torch.float64).item()
    size, method = (round(60 * factor), round(50 * factor)), Image.Resampling[interpolation.upper()]
    whole = Image.fromarray(rgb_u8).resize(size, method)
    views = np.lib.stride_tricks.sliding_window_view(np.asarray(whole).astype(int), (24, 24), (0, 1))
    views = np.stack([views, views[..., ::-1]])  # (2, rows, columns, 3, 24, 24)
    apart = np.abs(views - photo.numpy()).max(axis=(3, 4, 5))
    assert apart.min() <= 1
    assert (apart <= 20).sum() == 1


def test_same_generator_same_crop_with_and_without_labels(coded):
    first, _ = cropped(*coded, crop=10, scale=(0.5, 1.5), seed=3)
    second, nothing = cropped(coded[0], None, crop=10, scale=(0.5, 1.5), seed=3)
    assert nothing is None
    assert torch.equal(first, second)


def test_one_pixel_photo_survives_a_small_scale():
    photo, labels = cropped(np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), np.uint8), 4, (0.1, 0.2))
    assert photo.shape == (3, 4, 4)
    assert int((labels == 0).sum()) == 1


def test_labels_of_another_size_are_refused(coded):
    with pytest.raises(ValueError, match=r"\(5, 5\) do not fit"):
        cropped(coded[0], np.zeros((5, 5), np.uint8), 8)


# ---------------------------------------------------------------- colours

STILL = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
COLOURS = np.array([[(200, 40, 40), (40, 200, 40)], [(90, 90, 90), (30, 60, 220)]], np.uint8)


def changed_colours(seed=0, rgb_u8=COLOURS, **ranges):
    return jittered(rgb_u8, Jitter(**(STILL | ranges)), generator_for(seed, "colours")).astype(int)


def test_no_jitter_changes_nothing_and_draws_nothing():
    generator = generator_for(0, "colours")
    before = generator.get_state()
    assert jittered(COLOURS, None, generator) is COLOURS
    assert torch.equal(generator.get_state(), before)


def test_jitter_of_nothing_keeps_the_colours_to_a_level_of_hsv():
    assert np.abs(changed_colours() - COLOURS).max() <= 3


def test_brightness_scales_every_pixel_alike_within_its_range():
    factors = [changed_colours(seed, brightness=0.3)[1, 0, 0] / 90 for seed in range(200)]
    assert 0.68 <= min(factors) < 0.78
    assert 1.22 < max(factors) <= 1.32


def test_saturation_leaves_grey_as_it_is_and_contrast_keeps_the_mean():
    for seed in range(20):
        assert np.abs(changed_colours(seed, saturation=0.3)[1, 0] - 90).max() <= 1
        grey = np.full((2, 2, 3), 100, np.uint8)
        grey[0] = 140
        assert abs(changed_colours(seed, grey, contrast=0.3).mean() - 120) <= 1


def test_hue_turns_and_keeps_brightness_and_grey():
    turned = [changed_colours(seed, hue=0.1) for seed in range(50)]
    assert len({tuple(one[0, 0]) for one in turned}) > 10
    for one in turned:
        assert abs(one[0, 0].max() - 200) <= 3  # HSV's value
        assert np.abs(one[1, 0] - 90).max() <= 1
        assert one[0, 0].argmax() == 0  # a tenth of the circle does not make red green


def test_same_generator_same_colours():
    ranges = {"brightness": 0.3, "contrast": 0.3, "saturation": 0.3, "hue": 0.1}
    assert np.array_equal(changed_colours(3, **ranges), changed_colours(3, **ranges))
    assert not np.array_equal(changed_colours(3, **ranges), changed_colours(4, **ranges))
