"""The demo: the same bytes every time, VOC's layout, balanced classes told by a part of each animal."""

from __future__ import annotations

import colorsys
import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT
from wsgcn.dataset.demo import DEVKIT
from wsgcn.dataset.devkit import read_devkit
from wsgcn.dataset.draw import make_demo
from wsgcn.dataset.figures import DEMO as FIGURES
from wsgcn.dataset.paint import DemoPicture, Look, draw_picture
from wsgcn.errors import UsageError
from wsgcn.params import load_params
from wsgcn.store.label_maps import load_mask
from wsgcn.store.photos import load_photo
from wsgcn.vocabulary import IGNORE, palette

DEMO = load_params(ROOT / "params.yaml").dataset
CLASSES = DEMO.classes
SMALL = DEMO.model_copy(update={"train_images": 6, "val_images": 3, "height": 60, "width": 80, "seed": 3})


@pytest.fixture(scope="module")
def pictures() -> list[DemoPicture]:
    """The training pictures as ``params.yaml`` asks for them."""
    return drawn(DEMO.seed)


def drawn(seed: int) -> list[DemoPicture]:
    """The training pictures of a seed."""
    numbers = range(DEMO.train_images)
    return [draw_picture(f"train_{one:04}", one, DEMO.height, DEMO.width, seed) for one in numbers]


def digests(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_two_makes_are_byte_identical(tmp_path: Path) -> None:
    make_demo(tmp_path / "one", CLASSES, SMALL)
    make_demo(tmp_path / "two", CLASSES, SMALL)
    first = digests(tmp_path / "one")
    make_demo(tmp_path / "one", CLASSES, SMALL)
    assert first == digests(tmp_path / "two") == digests(tmp_path / "one")


def test_a_damaged_file_is_made_again(tmp_path: Path) -> None:
    make_demo(tmp_path, CLASSES, SMALL)
    before = digests(tmp_path)
    (tmp_path / "JPEGImages/train_0002.jpg").write_bytes(b"half a pict")
    make_demo(tmp_path, CLASSES, SMALL)
    assert digests(tmp_path) == before


def test_a_shorter_demo_leaves_nothing_of_a_longer_one(tmp_path: Path) -> None:
    few = SMALL.model_copy(update={"train_images": 2, "val_images": 1})
    make_demo(tmp_path / "one", CLASSES, SMALL)
    make_demo(tmp_path / "one", CLASSES, few)
    make_demo(tmp_path / "two", CLASSES, few)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_a_picture_does_not_depend_on_how_many_there_are(tmp_path: Path) -> None:
    make_demo(tmp_path / "few", CLASSES, SMALL.model_copy(update={"train_images": 2, "val_images": 1}))
    make_demo(tmp_path / "many", CLASSES, SMALL)
    few, many = digests(tmp_path / "few"), digests(tmp_path / "many")
    kept = [path for path in few if not path.startswith("ImageSets")]
    assert len(kept) == 3 * 3
    assert all(few[path] == many[path] for path in kept)


def test_another_seed_makes_other_pictures() -> None:
    one, two = (draw_picture("train_0000", 0, 60, 80, seed) for seed in (1, 2))
    assert (one.rgb_u8 != two.rgb_u8).mean() > 0.5


def test_the_layout_is_that_of_the_devkit(tmp_path: Path) -> None:
    make_demo(tmp_path, CLASSES, SMALL)
    train, val = ([f"{split}_{number:04}" for number in range(count)] for split, count in (("train", 6), ("val", 3)))
    expected = {f"{folder}/{one}{suffix}" for one in train + val for folder, suffix in (
        ("JPEGImages", ".jpg"), ("Annotations", ".xml"), ("SegmentationClass", ".png"),
    )}  # fmt: skip
    expected |= {f"ImageSets/Segmentation/{split}.txt" for split in ("train", "trainaug", "val")}
    assert set(digests(tmp_path)) == expected
    lists = {
        split: (tmp_path / f"ImageSets/Segmentation/{split}.txt").read_text().split()
        for split in ("train", "trainaug", "val")
    }
    assert lists == {"train": train, "trainaug": train, "val": val}


def test_files_say_what_was_drawn(tmp_path: Path) -> None:
    make_demo(tmp_path, CLASSES, SMALL)
    index = read_devkit("demo", tmp_path, CLASSES, ["train", "val"])
    assert len(index.images) == 9
    for image in index.images:
        picture = draw_picture(image.id, int(image.id[-4:]), 60, 80, 3)
        assert image.class_ids == tuple(sorted(set(picture.class_ids)))
        assert (image.height, image.width) == (60, 80)
        path = tmp_path / "SegmentationClass" / f"{image.id}.png"
        np.testing.assert_array_equal(load_mask(path, image, len(CLASSES)), picture.mask)
        loss = load_photo(index.photo_path(image)).astype(float) - picture.rgb_u8
        assert np.abs(loss).mean() < 12  # JPEG at quality 90, grain and thin lines


def test_masks_carry_the_colours_of_voc(tmp_path: Path) -> None:
    make_demo(tmp_path, CLASSES, SMALL)
    with Image.open(tmp_path / "SegmentationClass/train_0000.png") as mask:
        assert mask.mode == "P"
        assert mask.getpalette() == palette()


def test_labels_agree_with_masks(pictures: list[DemoPicture]) -> None:
    for picture in pictures:
        assert set(np.unique(picture.mask)) - {IGNORE} == {0, *picture.class_ids}


def test_outlines_are_ignored_and_thin(pictures: list[DemoPicture]) -> None:
    for picture in pictures:
        labelled = (picture.mask != IGNORE) & (picture.mask > 0)
        touching = labelled[:, :-1] & (picture.mask[:, 1:] == 0)
        assert not touching.any()
        assert 0 < (picture.mask == IGNORE).sum() < labelled.sum()


def test_a_good_part_of_the_pictures_shows_two_classes(pictures: list[DemoPicture]) -> None:
    two = np.mean([len(set(picture.class_ids)) == 2 for picture in pictures])
    twins = np.mean([len(picture.class_ids) > len(set(picture.class_ids)) for picture in pictures])
    assert 0.4 <= two <= 0.5
    assert 0.02 <= twins <= 0.2


def test_classes_are_balanced(pictures: list[DemoPicture]) -> None:
    counts = Counter(class_id for picture in pictures for class_id in set(picture.class_ids))
    assert set(counts) == set(range(1, len(CLASSES)))
    assert max(counts.values()) < 1.4 * min(counts.values())


def singles(pictures: list[DemoPicture]) -> list[DemoPicture]:
    return [picture for picture in pictures if len(picture.class_ids) == 1]


def test_area_does_not_tell_the_class(pictures: list[DemoPicture]) -> None:
    """The classes' mean areas differ by no more than chance."""
    groups = [
        [(one.mask == class_id).sum() for one in singles(pictures) if one.class_ids[0] == class_id]
        for class_id in range(1, len(CLASSES))
    ]
    assert np.std([np.mean(group) for group in groups]) < 0.6 * np.mean([np.std(group) for group in groups])


def test_a_pixels_hue_tells_the_class_roughly_and_the_coats_mean_for_sure(pictures: list[DemoPicture]) -> None:
    pixels, means = [], []
    for one in singles(pictures + drawn(DEMO.seed + 1)):
        coat = one.rgb_u8[one.mask == one.class_ids[0]] / 255
        colours = [colorsys.rgb_to_hsv(*colour)[0] for colour in (*coat[::7], coat.mean(axis=0))]
        right = [round(hue * len(FIGURES)) % len(FIGURES) + 1 == one.class_ids[0] for hue in colours]
        pixels.append(np.mean(right[:-1]))
        means.append(right[-1])
    assert 0.7 < np.mean(pixels) < 0.9
    assert np.mean(means) > 0.95


def test_every_animal_shows_its_face(pictures: list[DemoPicture]) -> None:
    for picture in pictures:
        assert tuple(class_id for class_id, _, _ in picture.faces) == picture.class_ids


def test_tint_is_how_colourful_backgrounds_are() -> None:
    def colour(tint: float) -> float:
        made = [draw_picture(f"train_{one:04}", one, 60, 80, 3, Look(tint=tint)) for one in range(20)]
        return float(np.mean([np.ptp(one.rgb_u8[one.mask == 0].mean(axis=0)) for one in made]))

    assert colour(60) > colour(15) + 20 > colour(0) + 20


def test_figures_of_all_classes_differ() -> None:
    v, u = np.mgrid[-1:1:64j, -1:1:64j]
    inks = [figure(u, v)[np.hypot(u, v) < 1] > 0 for figure in FIGURES]
    assert all(0.2 < ink.mean() < 0.7 for ink in inks)
    shares = [(one != two).mean() for number, one in enumerate(inks) for two in inks[:number]]
    assert min(shares) > 0.25
    assert max(shares) < 0.75


@pytest.mark.parametrize(("height", "width"), [(48, 48), (120, 160), (64, 48)])
def test_small_pictures_still_show_their_objects(height: int, width: int) -> None:
    for number in range(20):
        picture = draw_picture(f"train_{number:04}", number, height, width, 0)
        assert picture.rgb_u8.shape == (height, width, 3)
        assert set(picture.class_ids) <= set(np.unique(picture.mask))


def test_the_kind_makes_the_pictures_in_the_stages_folder_and_nowhere_else(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    index = SMALL.read(tmp_path / "stage")
    make_demo(tmp_path / "again", CLASSES, SMALL)
    assert index == read_devkit("demo", tmp_path / "stage" / DEVKIT, CLASSES, ["train", "val"])
    assert digests(tmp_path / "stage" / DEVKIT) == digests(tmp_path / "again")
    assert digests(tmp_path).keys() == {
        f"{folder}/{name}" for folder in (f"stage/{DEVKIT}", "again") for name in digests(tmp_path / "again")
    }


def test_the_demo_has_no_list_without_labels() -> None:
    with pytest.raises(UsageError, match="dataset of kind demo has no list without labels"):
        SMALL.unlabelled("test")


def test_another_number_of_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"dataset.classes has 2 names, but the demo has background and 5 classes.*dataset.kind"
    ):
        make_demo(tmp_path, ("background", "ring"), SMALL)
    assert not any(tmp_path.iterdir())
