"""The stage: index on disk, splits that fit together, warnings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import DATASET_KEYS, changed, real_content
from wsgcn.dataset.demo import DEVKIT
from wsgcn.dataset.stage import write_index
from wsgcn.errors import DataError, StageError
from wsgcn.params import Params, parse_params
from wsgcn.store.index import load_index
from wsgcn.store.paths import Artifacts

COMMON = ("name", "classes", *DATASET_KEYS)


def demo(**changes: Any) -> Params:
    """The real parameters with a small demo."""
    content = real_content()
    content["dataset"] |= {"train_images": 5, "val_images": 2, "height": 48, "width": 64, "seed": 3} | changes
    return parse_params(content, "test")


def voc(root: Path, **changes: Any) -> Params:
    """The same for a devkit."""
    dataset = real_content()["dataset"]
    common = {key: dataset[key] for key in COMMON}
    return changed(demo(), {"dataset": {"kind": "voc", "root": str(root)} | common | changes})


def write_split(root: Path, split: str, *ids: str) -> None:
    (root / "ImageSets/Segmentation" / f"{split}.txt").write_text("".join(f"{one}\n" for one in ids))


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """The devkit of a demo that has been made."""
    artifacts = Artifacts(tmp_path / "first")
    write_index(demo(), artifacts)
    return artifacts.index.parent / DEVKIT


def test_the_index_of_the_demo(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path / "artifacts")
    params = demo(score_split="trainaug")
    assert write_index(params, artifacts) == []
    index = load_index(artifacts.index)
    assert (index.name, index.class_names) == ("demo", params.dataset.classes)
    assert [image.id for image in index.split("val")] == ["val_0000", "val_0001"]
    assert len(index.split("train")) == len(index.split("trainaug")) == 5
    assert all(index.photo_path(image).is_file() for image in index.images)
    assert index.root == (artifacts.root / "dataset" / DEVKIT).as_posix()


def test_the_index_is_the_same_every_time(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path / "artifacts")
    write_index(demo(), artifacts)
    before = artifacts.index.read_bytes()
    write_index(demo(), artifacts)
    assert artifacts.index.read_bytes() == before


def test_no_mask_is_needed(tmp_path: Path, made: Path) -> None:
    (made / "SegmentationClass").rename(tmp_path / "masks")
    artifacts = Artifacts(tmp_path / "again")
    write_index(voc(made), artifacts)
    assert load_index(artifacts.index) == load_index(Artifacts(tmp_path / "first").index)


def test_a_class_that_nothing_shows_is_a_warning(tmp_path: Path, made: Path) -> None:
    classes = (*voc(made).dataset.classes, "boat")
    warnings = write_index(voc(made, classes=classes), Artifacts(tmp_path))
    assert warnings == ["class 'boat' is shown by no photograph of split 'train': nothing can learn it"]


def test_scored_photographs_must_be_trained_on(tmp_path: Path, made: Path) -> None:
    write_split(made, "scored", "train_0001", "val_0001")
    with pytest.raises(DataError, match=r"val_0001 is in split 'scored' but not in 'train'.*dataset.score_split"):
        write_index(voc(made, score_split="scored"), Artifacts(tmp_path))
    assert not Artifacts(tmp_path).index.exists()


def test_validation_must_be_unseen(tmp_path: Path, made: Path) -> None:
    write_split(made, "val", "val_0000", "train_0003")
    with pytest.raises(DataError, match=r"train_0003 is in split 'val' and in 'train'.*dataset.val_split"):
        write_index(voc(made), Artifacts(tmp_path))
    assert not Artifacts(tmp_path).index.exists()


def test_a_broken_photograph_leaves_no_index(tmp_path: Path, made: Path) -> None:
    (made / "JPEGImages/train_0002.jpg").write_bytes(b"")
    with pytest.raises(StageError, match=r"dataset: 1 of 7 images failed.*train_0002\.jpg is no picture"):
        write_index(voc(made), Artifacts(tmp_path))
    assert not Artifacts(tmp_path).index.exists()
