"""Stage ``dataset``: makes the demo where one is asked for, and writes the index that all other stages read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wsgcn.dataset.demo import make_demo
from wsgcn.dataset.voc import read_devkit, unseen_classes
from wsgcn.errors import DataError
from wsgcn.store.index import Index, save_index
from wsgcn.store.paths import Artifacts

if TYPE_CHECKING:
    from wsgcn.params import Dataset, Params


def run(params: Params, artifacts: Artifacts) -> list[str]:
    """Read the dataset and write ``index.json``.

    Returns:
        Warnings, one line each: classes that nothing can learn.

    Raises:
        UsageError: the demo would write into a folder that is not its own, or has the wrong number of classes.
        DataError: the dataset is incomplete or broken, or its splits contradict each other.
    """
    dataset = params.dataset
    root = Path(dataset.root)
    if dataset.demo is not None:
        make_demo(root, dataset.classes, dataset.demo)
    splits = (dataset.train_split, dataset.score_split, dataset.val_split)
    index = read_devkit(dataset.name, root, dataset.classes, splits)
    _check_splits(index, dataset)
    save_index(artifacts.index, index)
    return [
        f"class {name!r} is shown by no photograph of split {dataset.train_split!r}: nothing can learn it"
        for name in unseen_classes(index, dataset.train_split)
    ]


def _check_splits(index: Index, dataset: Dataset) -> None:
    """What is scored must have been labelled, and what validates must not have been learned."""
    train, score, val = (
        {image.id for image in index.split(split)}
        for split in (dataset.train_split, dataset.score_split, dataset.val_split)
    )
    if score - train:
        raise DataError(
            f"{min(score - train)} is in split {dataset.score_split!r} but not in {dataset.train_split!r}: pseudo "
            "labels are made for dataset.train_split alone, so dataset.score_split must be a part of it"
        )
    if val & train:
        raise DataError(
            f"{min(val & train)} is in split {dataset.val_split!r} and in {dataset.train_split!r}: the photographs "
            "of dataset.val_split must be unseen in training, take it from one of the two lists"
        )
