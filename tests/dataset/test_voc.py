"""The devkit reader: what it takes from a good folder, and what it says of a bad one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from wsgcn.dataset.devkit import read_devkit
from wsgcn.dataset.stage import unseen_classes
from wsgcn.dataset.voc import Voc
from wsgcn.errors import DataError, StageError
from wsgcn.store.fingerprints import file_digest
from wsgcn.store.index import ImageRecord, Index

CLASSES = ("background", "cat", "dog")


def annotation(*names: str) -> str:
    return f"<annotation>{''.join(f'<object><name>{name}</name></object>' for name in names)}</annotation>"


def add_image(root: Path, image_id: str, *names: str, suffix: str = ".jpg") -> None:
    Image.new("RGB", (20, 10)).save(root / "JPEGImages" / f"{image_id}{suffix}")
    (root / "Annotations" / f"{image_id}.xml").write_text(annotation(*names))


def add_split(root: Path, split: str, ids: Iterable[str]) -> None:
    (root / "ImageSets/Segmentation" / f"{split}.txt").write_text("".join(f"{one}\n" for one in ids))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A devkit of two photographs, ``a`` (dog, cat) in train and ``b`` (dog) in val."""
    root = tmp_path / "VOC2012"
    for folder in ("JPEGImages", "Annotations", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    add_image(root, "a", "dog", "cat", "dog")
    add_image(root, "b", "dog")
    add_split(root, "train", ["a"])
    add_split(root, "val", ["b"])
    return root


def read(root: Path) -> Index:
    return read_devkit("pets", root, CLASSES, ["train", "val", "train"])


def assert_refused(root: Path, *gist: str) -> None:
    """A DataError about the dataset as a whole, in one line that holds all of the gist."""
    with pytest.raises(DataError) as caught:
        read(root)
    assert type(caught.value) is DataError
    assert all(part in str(caught.value) for part in gist), str(caught.value)
    assert "\n" not in str(caught.value)


def assert_fails(root: Path, image_id: str, *gist: str) -> None:
    """A StageError that blames one photograph, and says all of the gist of it in one line."""
    with pytest.raises(StageError) as caught:
        read(root)
    assert set(caught.value.failures) == {image_id}
    reason = caught.value.failures[image_id]
    assert all(part in reason for part in gist), reason
    assert "\n" not in reason


def test_a_good_devkit_becomes_an_index(root: Path) -> None:
    index = read(root)
    assert index == Index(
        name="pets",
        root=root.as_posix(),
        class_names=CLASSES,
        images=(
            ImageRecord("a", "JPEGImages/a.jpg", 10, 20, (1, 2), ("train",), file_digest(root / "JPEGImages/a.jpg")),
            ImageRecord("b", "JPEGImages/b.jpg", 10, 20, (2,), ("val",), file_digest(root / "JPEGImages/b.jpg")),
        ),
    )


def test_the_digest_is_that_of_the_photograph(root: Path) -> None:
    before = read(root)
    Image.new("RGB", (20, 10), "red").save(root / "JPEGImages/a.jpg")
    after = read(root)
    assert before.images[0].digest != after.images[0].digest
    assert before.images[1] == after.images[1]


def test_an_image_of_two_splits_is_read_once(root: Path) -> None:
    add_split(root, "val", ["b", "a", "b", ""])
    images = read(root).images
    assert [(image.id, image.splits) for image in images] == [("a", ("train", "val")), ("b", ("val",))]


@pytest.mark.parametrize("suffix", [".jpeg", ".png", ".tif", ".tiff", ".JPG", ".Png"])
def test_photographs_of_every_suffix_are_found(root: Path, suffix: str) -> None:
    (root / "JPEGImages/a.jpg").unlink()
    add_image(root, "a", "cat", suffix=suffix)
    assert read(root).images[0].photo == f"JPEGImages/a{suffix}"


def test_the_size_is_that_of_the_upright_photograph(root: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 10)).save(root / "JPEGImages/a.jpg", exif=exif)
    image = read(root).images[0]
    assert (image.height, image.width) == (20, 10)


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(root: Path) -> None:
    (root / "ImageSets/Segmentation/train.txt").write_bytes("\ufeffa\r\n".encode())
    assert read(root).images[0].id == "a"


def test_parts_of_objects_are_not_objects(root: Path) -> None:
    xml = "<annotation><object><name> dog </name><part><name>head</name></part></object></annotation>"
    (root / "Annotations/a.xml").write_text(xml)
    assert read(root).images[0].class_ids == (2,)


def test_masks_say_nothing(root: Path) -> None:
    before = read(root)
    (root / "SegmentationClass").mkdir()
    Image.fromarray(np.full((10, 20), 1, dtype=np.uint8)).save(root / "SegmentationClass/b.png")
    assert read(root) == before


def test_classes_without_a_training_photograph_are_told(root: Path) -> None:
    index = read(root)
    assert unseen_classes(index, "train") == []
    assert unseen_classes(index, "val") == ["cat"]


def test_missing_dataset_folder(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    assert_refused(gone, f"dataset folder {gone} is missing", "dataset.root in params.yaml", "wsgcn init --data")


@pytest.mark.parametrize("folder", ["JPEGImages", "Annotations", "ImageSets/Segmentation"])
def test_missing_folder_of_the_devkit(root: Path, folder: str) -> None:
    (root / folder).rename(root / "elsewhere")
    assert_refused(root, f"dataset folder {root} has no {folder}", "dataset.root in params.yaml", "wsgcn init --data")


def test_missing_split_list(root: Path) -> None:
    path = root / "ImageSets/Segmentation/val.txt"
    path.unlink()
    assert_refused(root, f"split list {path} is missing", "the lists there are train", "dataset.root", "wsgcn init")


@pytest.mark.parametrize("content", [b"", b"\n  \n"])
def test_empty_split_list(root: Path, content: bytes) -> None:
    path = root / "ImageSets/Segmentation/val.txt"
    path.write_bytes(content)
    assert_refused(root, f"split list {path} is empty", "one image id a line")


def test_split_list_that_is_no_text(root: Path) -> None:
    path = root / "ImageSets/Segmentation/val.txt"
    path.write_bytes(b"\xff\xfe\x00\x80")
    assert_refused(root, f"split list {path} cannot be read", "one image id a line")


@pytest.mark.parametrize("image_id", ["../a", "/JPEGImages/a.jpg", "x\\a", ".a", "..", "a\0b", "a\tb"])
def test_ids_that_would_leave_their_folder(root: Path, image_id: str) -> None:
    add_split(root, "train", ["a", image_id])
    assert_refused(root, f"{image_id!r} in the split list", "train.txt is no image id", "without folder and suffix")


def test_id_without_photograph(root: Path) -> None:
    (root / "JPEGImages/a.jpg").unlink()
    assert_fails(root, "a", f"{root / 'JPEGImages'} holds no photograph a with suffix .jpg", "from the split list")


def test_two_photographs_of_one_id(root: Path) -> None:
    add_image(root, "a", "cat", suffix=".png")
    assert_fails(root, "a", f"{root / 'JPEGImages'} holds a.jpg and a.png for one id", "keep one")


def test_unreadable_photograph(root: Path) -> None:
    path = root / "JPEGImages/a.jpg"
    path.write_bytes(b"no picture at all")
    assert_fails(root, "a", f"{path} is no picture", "replace it or take it from the split list")


def test_missing_annotation(root: Path) -> None:
    path = root / "Annotations/a.xml"
    path.unlink()
    assert_fails(root, "a", f"{path} is missing", "<object><name>")


@pytest.mark.parametrize(
    "content", [b"", b"<annotation><object>", b"\xff\xfe\xfd", b'<?xml version="1.0" encoding="x"?><a/>']
)
def test_broken_annotation(root: Path, content: bytes) -> None:
    path = root / "Annotations/a.xml"
    path.write_bytes(content)
    assert_fails(root, "a", f"{path} is broken XML", "mend it")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_declarations_of_entities_are_refused(root: Path, encoding: str) -> None:
    path = root / "Annotations/a.xml"
    laughs = '<!DOCTYPE x [<!ENTITY a "cat"><!ENTITY b "&a;&a;">]>' + annotation("&b;")
    path.write_bytes(f'<?xml version="1.0" encoding="{encoding}"?>{laughs}'.encode(encoding))
    assert_fails(root, "a", f"{path} is refused", "DOCTYPE", "remove")


@pytest.mark.parametrize("name", ["catt", "background", ""])
def test_unknown_class(root: Path, name: str) -> None:
    path = root / "Annotations/a.xml"
    path.write_text(annotation("dog", name))
    assert_fails(root, "a", f"{path} names {name!r}", "dataset.classes in params.yaml", "known are cat, dog")


def test_image_without_any_label(root: Path) -> None:
    path = root / "Annotations/a.xml"
    path.write_text("<annotation/>")
    assert_fails(root, "a", f"{path} names no <object>", "label the photograph")


def test_all_broken_images_are_told_at_once(root: Path) -> None:
    (root / "JPEGImages/a.jpg").unlink()
    (root / "Annotations/b.xml").unlink()
    add_image(root, "c", "cat")
    add_split(root, "train", ["a", "c"])
    with pytest.raises(StageError) as caught:
        read(root)
    assert set(caught.value.failures) == {"a", "b"}
    assert re.match("dataset: 2 of 3 images failed", str(caught.value))


# ---------------------------------------------------------------- the kind


def kind(root: Path, **changes: Any) -> Voc:
    others = {"train_split": "train", "score_split": "train", "val_split": "val"}
    others |= {"max_megapixels": 50, "work_megapixels": 1} | changes
    return Voc(kind="voc", name="pets", classes=CLASSES, root=str(root), **others)


def test_the_kind_reads_the_lists_that_are_used_and_writes_nothing(root: Path, tmp_path: Path) -> None:
    add_image(root, "c", "cat")
    add_split(root, "scored", ["c"])
    before = set(tmp_path.rglob("*"))
    assert kind(root).read(tmp_path / "stage") == read(root)
    assert [one.id for one in kind(root, score_split="scored").read(tmp_path / "stage").images] == ["a", "b", "c"]
    assert set(tmp_path.rglob("*")) == before


def test_a_list_without_labels(root: Path) -> None:
    add_image(root, "x", "unknown")
    (root / "Annotations/x.xml").unlink()
    add_split(root, "test", ["x", "a"])
    assert kind(root).unlabelled("test") == [
        ImageRecord("x", "JPEGImages/x.jpg", 10, 20, (), ("test",)),
        ImageRecord("a", "JPEGImages/a.jpg", 10, 20, (), ("test",)),
    ]


def test_a_list_without_labels_that_is_missing_or_broken(root: Path) -> None:
    with pytest.raises(DataError, match=r"test\.txt is missing: .*the lists there are train, val.*--split"):
        kind(root).unlabelled("test")
    add_split(root, "test", ["a", "gone"])
    (root / "JPEGImages/a.jpg").write_bytes(b"")
    with pytest.raises(StageError, match="2 of 2 images failed") as caught:
        kind(root).unlabelled("test")
    assert set(caught.value.failures) == {"a", "gone"}
