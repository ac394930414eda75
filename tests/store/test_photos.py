"""Photographs of every kind become upright 8-bit RGB; what is no picture is named."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsgcn.errors import DataError
from wsgcn.store.photos import load_bounded, load_photo, photo_size

ORIENTATION = 0x0112
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def quarters() -> np.ndarray:
    """``(16, 32, 3)``: red and green above, blue and white below."""
    rgb = np.zeros((16, 32, 3), dtype=np.uint8)
    rgb[:8, :16], rgb[:8, 16:], rgb[8:, :16], rgb[8:, 16:] = RED, GREEN, BLUE, WHITE
    return rgb


def test_rgb_is_kept(tmp_path: Path) -> None:
    Image.fromarray(quarters()).save(tmp_path / "a.png")
    photo = load_photo(tmp_path / "a.png")
    assert photo.dtype == np.uint8
    np.testing.assert_array_equal(photo, quarters())
    assert photo_size(tmp_path / "a.png") == (16, 32)


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    grey = np.arange(200, dtype=np.uint8).reshape(10, 20)
    Image.fromarray(grey).save(tmp_path / "a.png")
    np.testing.assert_array_equal(load_photo(tmp_path / "a.png"), np.stack([grey] * 3, axis=2))


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    Image.fromarray(quarters()).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    photo = load_photo(tmp_path / "a.jpg")
    assert photo.shape == (16, 32, 3)
    assert np.abs(photo.astype(int) - quarters()).mean() < 8


def test_sixteen_bit_grey_keeps_its_range(tmp_path: Path) -> None:
    deep = np.array([[0, 257, 257 * 128, 65535]], dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / "a.png")
    np.testing.assert_array_equal(load_photo(tmp_path / "a.png")[0, :, 0], [0, 1, 128, 255])
    assert load_photo(tmp_path / "a.png").shape == (1, 4, 3)


def test_palette_becomes_colours_not_indices(tmp_path: Path) -> None:
    Image.fromarray(quarters()).quantize(4).save(tmp_path / "a.png")
    np.testing.assert_array_equal(load_photo(tmp_path / "a.png"), quarters())


def test_transparency_is_dropped(tmp_path: Path) -> None:
    alpha = np.full((16, 32, 1), 77, dtype=np.uint8)
    Image.fromarray(np.concatenate([quarters(), alpha], axis=2)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(load_photo(tmp_path / "a.png"), quarters())


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda rgb: rgb),
        (3, lambda rgb: np.rot90(rgb, 2)),
        (5, lambda rgb: rgb.transpose(1, 0, 2)),
        (6, lambda rgb: np.rot90(rgb, -1)),
        (8, lambda rgb: np.rot90(rgb, 1)),
    ],
)
def test_exif_rotation_is_applied(tmp_path: Path, orientation: int, upright, suffix: str) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = tmp_path / f"a{suffix}"
    Image.fromarray(quarters()).save(
        path, exif=exif, **({"quality": 100, "subsampling": 0} if suffix == ".jpg" else {})
    )
    photo = load_photo(path)
    expected = upright(quarters())
    assert photo.shape == expected.shape
    assert np.abs(photo.astype(int) - expected).mean() < 3
    assert photo_size(path) == expected.shape[:2]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_half_a_photograph_is_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"half{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=r"half\.\w+ is no whole picture .*replace it"):
        load_photo(path)


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    path = tmp_path / "letter.jpg"
    path.write_text("Dear Sir or Madam")
    with pytest.raises(DataError, match=r"letter\.jpg is no whole picture"):
        load_photo(path)
    with pytest.raises(DataError, match=r"letter\.jpg is no picture .*take it from the split list"):
        photo_size(path)


def test_a_photograph_of_no_numbers_is_named(tmp_path: Path) -> None:
    for value in (np.nan, np.inf):
        Image.fromarray(np.full((4, 6), value, dtype=np.float32)).save(tmp_path / "deep.tif")
        with pytest.raises(DataError, match=r"deep\.tif is no whole picture \(it has pixels that are no number\)"):
            load_photo(tmp_path / "deep.tif")


def test_a_missing_photograph_is_named(tmp_path: Path) -> None:
    for read in (load_photo, photo_size):
        with pytest.raises(DataError, match=r"gone\.jpg is missing"):
            read(tmp_path / "gone.jpg")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_large_photograph_is_shrunk_upright(tmp_path: Path, orientation: int, suffix: str) -> None:
    """A JPEG is decoded at a fraction of its size: what is seen is the same but for rounding."""
    waves = np.sin(np.arange(640)[None] / 40) * np.cos(np.arange(400)[:, None] / 30)
    rgb_u8 = (127 + 100 * np.stack([waves, waves**2, -waves], axis=2)).astype(np.uint8)
    path = tmp_path / f"large{suffix}"
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(rgb_u8).save(path, exif=exif, **({"quality": 95} if suffix == ".jpg" else {}))
    whole = load_photo(path)
    size = (whole.shape[0] // 6, whole.shape[1] // 6)
    expected = np.asarray(Image.fromarray(whole).resize(size[::-1], Image.Resampling.LANCZOS))
    found = load_photo(path, size)
    assert found.shape == (*size, 3)
    assert np.abs(found.astype(int) - expected).max() <= 6
    assert load_photo(path, (whole.shape[0], whole.shape[1])).tobytes() == whole.tobytes()
    with pytest.raises(DataError, match="has changed since `wsgcn dataset` read it"):
        load_photo(path, (whole.shape[0] + 1, whole.shape[1]))


@pytest.mark.parametrize(("work", "seen"), [(None, (40, 60)), (0.0024, (40, 60)), (0.001, (25, 38))])
def test_what_no_index_knows_is_shrunk_alike(tmp_path: Path, work: float | None, seen: tuple[int, int]) -> None:
    Image.new("RGB", (60, 40)).save(tmp_path / "photo.png")
    size, rgb_u8 = load_bounded(tmp_path / "photo.png", None, work)
    assert (size, rgb_u8.shape) == ((40, 60), (*seen, 3))


def test_what_is_too_large_is_told_before_it_is_decoded(tmp_path: Path) -> None:
    content = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(content, format="JPEG")
    (tmp_path / "half.jpg").write_bytes(content.getvalue()[:-500])
    with pytest.raises(DataError, match=r"half\.jpg: 60 x 40 pixels are .* dataset\.max_megapixels allows 0\.002"):
        load_bounded(tmp_path / "half.jpg", 0.002, None)
