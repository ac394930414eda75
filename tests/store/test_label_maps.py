"""Label maps: palette PNGs of class ids, and pictures that are none."""

import numpy as np
import pytest
from PIL import Image

from wsgcn.errors import DataError
from wsgcn.store.fingerprints import read_fingerprint
from wsgcn.store.label_maps import load_label_map, save_label_map
from wsgcn.vocabulary import palette


def test_label_map_round_trip_with_palette(tmp_path):
    path = tmp_path / "a.png"
    labels = np.arange(256, dtype=np.uint8).reshape(8, 32)
    save_label_map(path, labels, "f00d")
    np.testing.assert_array_equal(load_label_map(path), labels)
    with Image.open(path) as image:
        assert image.mode == "P"
        assert image.size == (32, 8)
        assert image.getpalette() == palette()
    assert read_fingerprint(path) == "f00d"


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1)])
def test_label_map_of_one_value(tmp_path, shape):
    path = tmp_path / "a.png"
    save_label_map(path, np.full(shape, 255, np.uint8), "f")
    np.testing.assert_array_equal(load_label_map(path), np.full(shape, 255))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "1", "I;16"])
def test_picture_that_is_no_label_map_is_named(tmp_path, mode):
    path = tmp_path / "a.png"
    Image.new(mode, (4, 3)).save(path)
    with pytest.raises(DataError, match="no label map of its photograph") as caught:
        load_label_map(path)
    assert str(path) in str(caught.value)
    assert read_fingerprint(path) is None


@pytest.mark.parametrize("keep", [0, 8, 0.3, 0.9])
def test_truncated_label_map_is_named(tmp_path, keep):
    path = tmp_path / "a.png"
    save_label_map(path, np.random.default_rng(0).integers(0, 256, (40, 50), np.uint8), "f")
    whole = path.read_bytes()
    path.write_bytes(whole[: keep if isinstance(keep, int) else int(keep * len(whole))])
    with pytest.raises(DataError) as caught:
        load_label_map(path)
    assert str(path) in str(caught.value)
