"""The stage: index on disk, splits that fit together, warnings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wsgcn.dataset import stage
from wsgcn.errors import DataError, StageError
from wsgcn.params import Demo, Params, load_params
from wsgcn.store.index import load_index
from wsgcn.store.paths import Artifacts

SMALL = Demo(train_images=5, val_images=2, height=48, width=64, seed=3)


def params_with(root: Path, **changes: Any) -> Params:
    params = load_params(Path(__file__).parents[2] / "params.yaml")
    dataset = params.dataset.model_copy(update={"root": str(root), "demo": SMALL, **changes})
    return params.model_copy(update={"dataset": dataset})


def write_split(root: Path, split: str, *ids: str) -> None:
    (root / "ImageSets/Segmentation" / f"{split}.txt").write_text("".join(f"{one}\n" for one in ids))


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """The root of a demo that has been made; use it with ``demo=None``."""
    root = tmp_path / "data"
    stage.run(params_with(root), Artifacts(tmp_path / "first"))
    return root


def test_the_index_of_the_demo(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path / "artifacts")
    params = params_with(tmp_path / "data", score_split="trainaug")
    assert stage.run(params, artifacts) == []
    index = load_index(artifacts.index)
    assert (index.name, index.class_names) == ("demo", params.dataset.classes)
    assert [image.id for image in index.split("val")] == ["val_0000", "val_0001"]
    assert len(index.split("train")) == len(index.split("trainaug")) == 5
    assert all(index.photo_path(image).is_file() for image in index.images)


def test_the_index_is_the_same_every_time(tmp_path: Path) -> None:
    params = params_with(tmp_path / "data")
    for name in ("one", "two"):
        stage.run(params, Artifacts(tmp_path / name))
    one, two = (Artifacts(tmp_path / name).index.read_bytes() for name in ("one", "two"))
    assert one == two


def test_no_mask_is_needed(tmp_path: Path, made: Path) -> None:
    (made / "SegmentationClass").rename(tmp_path / "masks")
    artifacts = Artifacts(tmp_path / "again")
    stage.run(params_with(made, demo=None), artifacts)
    assert load_index(artifacts.index) == load_index(Artifacts(tmp_path / "first").index)


def test_a_class_that_nothing_shows_is_a_warning(tmp_path: Path, made: Path) -> None:
    params = params_with(made, demo=None)
    classes = (*params.dataset.classes, "boat")
    warnings = stage.run(params_with(made, demo=None, classes=classes), Artifacts(tmp_path))
    assert warnings == ["class 'boat' is shown by no photograph of split 'train': nothing can learn it"]


def test_scored_photographs_must_be_trained_on(tmp_path: Path, made: Path) -> None:
    write_split(made, "scored", "train_0001", "val_0001")
    with pytest.raises(DataError, match=r"val_0001 is in split 'scored' but not in 'train'.*dataset.score_split"):
        stage.run(params_with(made, demo=None, score_split="scored"), Artifacts(tmp_path))
    assert not Artifacts(tmp_path).index.exists()


def test_validation_must_be_unseen(tmp_path: Path, made: Path) -> None:
    write_split(made, "val", "val_0000", "train_0003")
    with pytest.raises(DataError, match=r"train_0003 is in split 'val' and in 'train'.*dataset.val_split"):
        stage.run(params_with(made, demo=None), Artifacts(tmp_path))
    assert not Artifacts(tmp_path).index.exists()


def test_a_broken_photograph_leaves_no_index(tmp_path: Path, made: Path) -> None:
    (made / "JPEGImages/train_0002.jpg").write_bytes(b"")
    with pytest.raises(StageError, match=r"dataset: 1 of 7 images failed.*train_0002\.jpg is no picture"):
        stage.run(params_with(made, demo=None), Artifacts(tmp_path))
    assert not Artifacts(tmp_path).index.exists()
