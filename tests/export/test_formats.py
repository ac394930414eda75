"""Every format as its readers see it: pycocotools, a YOLO reader of our own, our kind of dataset ``voc``, Pillow."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import yaml
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from scipy import ndimage

from tests.export.conftest import CLASSES, METHOD, PHOTOS, SHOWN, SIZE, VALIDATION, files
from wsgcn.dataset.devkit import read_devkit
from wsgcn.store.index import ImageRecord
from wsgcn.store.label_maps import load_label_map
from wsgcn.store.photos import load_photo, photo_turned
from wsgcn.vocabulary import palette

IDS = sorted(PHOTOS)
REGIONS = {"a b": 5, "Bärbel": 4, "garden__c.d": 1, "empty": 0, "turned": 2}
"""Counted by hand in ``label_maps``."""


def assert_same_photograph(project, record, path):
    """Upright, of the label map's size, and the same to the eye."""
    with Image.open(path) as picture:
        assert (picture.format, picture.mode) == ("JPEG", "RGB")
        assert picture.size[::-1] == (record.height, record.width)
    assert not photo_turned(path)
    before = load_photo(project.root / record.photo).astype(int)
    assert abs(load_photo(path) - before).mean() < 8


def assert_photographs(project, folder):
    """All of the training list, and no other."""
    records = [one for one in project.records if "train" in one.splits]
    assert sorted(path.name for path in folder.iterdir()) == [f"{one}.jpg" for one in IDS]
    for record in records:
        assert_same_photograph(project, record, folder / f"{record.id}.jpg")
    for image_id in ("a b", "garden__c.d"):  # JPEG files of whatever suffix
        before = project.root / PHOTOS[image_id]
        assert (folder / f"{image_id}.jpg").read_bytes() == before.read_bytes()


# ---------------------------------------------------------------- png


def test_png(project):
    project.export("png")
    out = project.folder / "out"
    for image_id in IDS:
        assert (out / f"{image_id}.png").read_bytes() == project.label_map(image_id).read_bytes()
        assert (load_label_map(out / f"{image_id}.png") == project.labels[image_id]).all()
    with (out / "classes.csv").open(newline="") as file:
        assert [*csv.reader(file)] == [["id", "name"], *([str(number), name] for number, name in enumerate(CLASSES))]
    assert len(files(out)) == len(IDS) + 2  # with the list of our files


# ---------------------------------------------------------------- voc


def test_voc_is_read_by_our_own_kind_of_dataset(project):
    project.export("voc")
    out = project.folder / "out"
    index = read_devkit("again", out, CLASSES, ["train"])
    assert {one.id: one.class_ids for one in index.images} == SHOWN
    assert {one.id: (one.height, one.width) for one in index.images} == {
        image_id: labels.shape for image_id, labels in project.labels.items()
    }
    assert_photographs(project, out / "JPEGImages")
    for image_id, labels in project.labels.items():
        with Image.open(out / "SegmentationClass" / f"{image_id}.png") as picture:
            assert picture.mode == "P"
            assert picture.getpalette()[: 3 * len(CLASSES)] == palette()[: 3 * len(CLASSES)]
            assert (np.array(picture) == labels).all()
    assert (out / "labels.txt").read_text() == "".join(f"{name}\n" for name in CLASSES)
    assert (out / "ImageSets/Segmentation/train.txt").read_text().splitlines() == IDS


# ---------------------------------------------------------------- coco


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # inside pycocotools
def test_coco_is_read_by_pycocotools(project):
    project.export("coco")
    out = project.folder / "out"
    api = COCO(out / "annotations" / "instances_train.json")
    assert {one["id"]: one["name"] for one in api.cats.values()} == {1: CLASSES[1], 2: CLASSES[2], 3: CLASSES[3]}
    assert_photographs(project, out / "images" / "train")
    assert len(api.imgs) == len(IDS)
    for image in api.imgs.values():
        image_id = image["file_name"].removesuffix(".jpg")
        labels = project.labels[image_id]
        assert (image["height"], image["width"]) == labels.shape
        annotations = api.loadAnns(api.getAnnIds(image["id"], iscrowd=False))
        assert len(annotations) == REGIONS[image_id]
        decoded = np.zeros(labels.shape, dtype=np.uint8)
        for one in annotations:
            mask = api.annToMask(one).astype(bool)
            assert not decoded[mask].any()
            assert ndimage.label(mask, structure=np.ones((3, 3)))[1] == 1
            decoded[mask] = one["category_id"]
            assert one["area"] == mask.sum() == coco_mask.area(api.annToRLE(one))
            assert one["bbox"] == coco_mask.toBbox(api.annToRLE(one)).tolist()
        assert (decoded == np.where(labels == 255, 0, labels)).all()


def test_coco_ids_are_distinct_and_names_are_readable(project):
    project.export("coco")
    text = (project.folder / "out/annotations/instances_train.json").read_text()
    content = json.loads(text)
    numbers = [one["id"] for one in content["annotations"]]
    assert numbers == [*range(1, sum(REGIONS.values()) + 1)]
    assert [one["id"] for one in content["images"]] == [*range(1, len(IDS) + 1)]
    assert "Bärbel.jpg" in text


# ---------------------------------------------------------------- yolo


def read_yolo(path, size):
    """Class and filled mask of each line: a reader that knows nothing of how they were written."""
    scale = 9
    found = []
    for line in path.read_text().splitlines():
        number, *values = line.split()
        x, y = (np.array(values[first::2], dtype=float) for first in (0, 1))
        assert len(x) == len(y) >= 3
        assert min(x.min(), y.min()) >= 0
        assert max(x.max(), y.max()) <= 1
        picture = Image.new("1", (size[1] * scale, size[0] * scale))
        points = zip((x * size[1] * scale).round().tolist(), (y * size[0] * scale).round().tolist())
        ImageDraw.Draw(picture).polygon([*points], fill=1)
        found.append((int(number), np.array(picture)[scale // 2 :: scale, scale // 2 :: scale]))
    return found


def filled_regions(labels):
    """Class and mask of each connected region, its holes filled."""
    found = []
    for class_id in (1, 2, 3):
        numbered, count = ndimage.label(labels == class_id, structure=np.ones((3, 3)))
        found += [(class_id - 1, ndimage.binary_fill_holes(numbered == number)) for number in range(1, count + 1)]
    return found


def as_set(regions):
    return sorted((number, mask.tolist()) for number, mask in regions)


def test_yolo_is_read_by_another_reader(project):
    expected = {"train": dict(project.labels), "val": {VALIDATION: project.validate()}}
    project.export("yolo")
    assert project.warnings == []
    out = project.folder / "out"
    data = yaml.safe_load((out / "data.yaml").read_text())
    assert data["names"] == {0: CLASSES[1], 1: CLASSES[2], 2: CLASSES[3]}
    assert data["path"] == str(out)
    for split, labels in expected.items():
        images = out / data[split]
        texts = out / "labels" / images.name
        assert images == out / "images" / split
        assert sorted(path.stem for path in images.iterdir()) == sorted(labels)
        assert sorted(path.stem for path in texts.iterdir()) == sorted(labels)
        for image_id, one in labels.items():
            assert as_set(read_yolo(texts / f"{image_id}.txt", one.shape)) == as_set(filled_regions(one))
    assert_photographs(project, out / "images" / "train")
    assert len(read_yolo(out / "labels/train/a b.txt", SIZE)) == REGIONS["a b"]
    assert (out / "labels/train/empty.txt").read_text() == ""


@pytest.mark.parametrize("there", [False, True])
def test_yolo_validates_on_the_training_list_where_the_network_did_not_label_all_of_the_other(project, there):
    project.save([*project.records, ImageRecord("v2", "v1.jpg", *SIZE, (1,), ("val",))])
    if there:  # of the first of the two
        project.validate()
    project.export("yolo")
    data = yaml.safe_load((project.folder / "out/data.yaml").read_text())
    assert data["val"] == data["train"] == "images/train"
    assert len(project.warnings) == 1
    assert f"dvc repro evaluate@{METHOD}" in project.warnings[0]
    assert sorted(path.name for path in (project.folder / "out/images").iterdir()) == ["train"]


def test_yolo_of_one_list_for_both_is_no_surprise(project):
    project.content["dataset"]["val_split"] = "train"
    project.export("yolo")
    assert yaml.safe_load((project.folder / "out/data.yaml").read_text())["val"] == "images/train"
    assert project.warnings == []


@pytest.mark.parametrize("form", ["voc", "coco", "png"])
def test_other_formats_leave_validation_out(project, form):
    project.validate()
    assert [one.id for one in project.export(form)] == IDS
    assert not [name for name in files(project.folder / "out") if VALIDATION in name]
