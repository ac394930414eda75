"""Saliency maps as files: read as shares of 255, and what is wrong with one is named."""

import numpy as np
import pytest
from PIL import Image

from wsgcn.errors import DataError
from wsgcn.store.index import ImageRecord
from wsgcn.store.saliency import load_saliency, saliency_digest, saliency_file

IMAGE = ImageRecord("a", "a.jpg", 3, 4, (1,), ("train",), "")


def test_grey_levels_are_shares_of_255(tmp_path):
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4) * 23
    Image.fromarray(grey).save(saliency_file(str(tmp_path), IMAGE))
    found = load_saliency(str(tmp_path), IMAGE)
    np.testing.assert_array_equal(found, (grey / 255).astype(np.float32))
    assert found.dtype == np.float32


@pytest.mark.parametrize(
    ("picture", "why"),
    [
        (None, "a.png is missing: make it, or set saliency: null where params.yaml has folder: "),
        (Image.new("RGB", (4, 3)), "a.png is no saliency map .it is in .* mode RGB, not L.: save it as a PNG"),
        (Image.new("P", (4, 3)), "mode P"),
        (Image.new("I;16", (4, 3)), "mode I;16"),
        (Image.new("L", (3, 4)), r"a.png is no saliency map \(it is 3 x 4 pixels, but its photograph is 4 x 3\)"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, picture, why):
    if picture:
        picture.save(tmp_path / "a.png")
    with pytest.raises(DataError, match=why):
        load_saliency(str(tmp_path), IMAGE)


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_a_broken_file_is_named(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.png is no saliency map"):
        load_saliency(str(tmp_path), IMAGE)


def test_a_cut_file_is_named(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (30, 40), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(DataError, match=r"a\.png is no saliency map"):
        load_saliency(str(tmp_path), IMAGE)


def test_an_absurdly_large_file_is_named(tmp_path, monkeypatch):
    Image.new("L", (40, 30)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match=r"a\.png is no saliency map .*exceeds limit"):
        load_saliency(str(tmp_path), IMAGE)


def test_the_digest_is_that_of_the_content_and_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=rf"a\.png is missing: make it, .* folder: {tmp_path}"):
        saliency_digest(str(tmp_path), IMAGE)
    digests = []
    for grey in (0, 1, 0):
        Image.new("L", (4, 3), grey).save(tmp_path / "a.png")
        digests.append(saliency_digest(str(tmp_path), IMAGE))
    assert digests[0] == digests[2] != digests[1]
