"""Regions, run lengths and outlines, read back by libraries and against slow, obvious versions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image, ImageDraw
from pycocotools import mask as coco
from scipy import ndimage

from wsgcn.export.regions import find_regions, outline, run_lengths

ENLARGED = 9  # pixels of a drawing for one of the label map; odd, so that one of them is the centre

LABELS = st.sampled_from([0, 1, 2, 255])
each_map = given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=LABELS))


def whole(region, size):
    """The region's pixels in the whole label map."""
    mask = np.zeros(size, dtype=bool)
    height, width = region.mask.shape
    mask[region.top : region.top + height, region.left : region.left + width] = region.mask
    return mask


def drawn(polygon, size):
    """Pixels whose centre is in the polygon, as Pillow draws it; what Pillow does on the border is no centre."""
    picture = Image.new("1", (size[1] * ENLARGED, size[0] * ENLARGED))
    ImageDraw.Draw(picture).polygon([(x * ENLARGED, y * ENLARGED) for x, y in polygon.tolist()], fill=1)
    return np.array(picture)[ENLARGED // 2 :: ENLARGED, ENLARGED // 2 :: ENLARGED]


def flooded(labels, row, column):
    """All pixels that can be reached from one by steps to the eight around it, of the same class."""
    found, waiting = set(), [(row, column)]
    while waiting:
        y, x = waiting.pop()
        if (y, x) in found:
            continue
        found.add((y, x))
        for v in range(max(y - 1, 0), min(y + 2, labels.shape[0])):
            waiting += [
                (v, u) for u in range(max(x - 1, 0), min(x + 2, labels.shape[1])) if labels[v, u] == labels[y, x]
            ]
    return found


@each_map
def test_every_labelled_pixel_is_in_the_one_region_that_can_be_reached_from_it(labels):
    found = {}
    for region in find_regions(labels):
        pixels = [*zip(*np.nonzero(whole(region, labels.shape)))]
        assert region.class_id in (1, 2)
        assert all(found.setdefault(pixel, region) is region for pixel in pixels)
        assert set(pixels) == flooded(labels, *pixels[0])
        assert {int(labels[pixel]) for pixel in pixels} == {region.class_id}
        assert all(region.mask.any(axis=axis)[[0, -1]].all() for axis in (0, 1))  # the box is tight
    assert len(found) == ((labels != 0) & (labels != 255)).sum()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # inside pycocotools
@each_map
def test_pycocotools_decodes_the_run_lengths(labels):
    for region in find_regions(labels):
        counts = run_lengths(region, labels.shape)
        assert sum(counts) == labels.size
        assert all(count > 0 for count in counts[1:])
        decoded = coco.decode(coco.frPyObjects({"size": list(labels.shape), "counts": counts}, *labels.shape))
        assert (decoded == whole(region, labels.shape)).all()


@each_map
def test_the_outline_drawn_again_is_the_region_without_its_holes(labels):
    for region in find_regions(labels):
        polygon = outline(region)
        filled = ndimage.binary_fill_holes(whole(region, labels.shape))
        assert (drawn(polygon, labels.shape) == filled).all()
        x, y = polygon.T
        area = (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2
        assert area == filled.sum()  # positive: clockwise, as y points down
        assert [*polygon.min(axis=0)] == [region.left, region.top]
        assert [*polygon.max(axis=0)] == [region.left + region.mask.shape[1], region.top + region.mask.shape[0]]


@each_map
def test_the_outline_has_corners_alone(labels):
    for region in find_regions(labels):
        steps = np.diff(outline(region), axis=0, append=outline(region)[:1])
        assert (np.count_nonzero(steps, axis=1) == 1).all()
        assert (np.count_nonzero(steps[:, 0]), np.count_nonzero(steps[:, 1])) == (len(steps) // 2, len(steps) // 2)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (["1"], [(0, 0), (1, 0), (1, 1), (0, 1)]),
        (["10", "01"], [(0, 0), (1, 0), (1, 1), (2, 1), (2, 2), (1, 2), (1, 1), (0, 1)]),
        (["01", "10"], [(1, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2), (0, 1), (1, 1)]),
        (["111", "101", "111"], [(0, 0), (3, 0), (3, 3), (0, 3)]),
    ],
)
def test_outlines_by_hand(rows, expected):
    (region,) = find_regions(np.array([[int(one) for one in row] for row in rows], dtype=np.uint8))
    assert [*map(tuple, outline(region).tolist())] == expected


def test_no_foreground_has_no_region():
    assert [*find_regions(np.full((3, 4), 255, dtype=np.uint8))] == []
    assert [*find_regions(np.zeros((3, 4), dtype=np.uint8))] == []
