"""Stage ``dataset``: writes the index that all other stages read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from wsgcn.dataset.base import Dataset
from wsgcn.errors import DataError
from wsgcn.store.index import Index, save_index
from wsgcn.store.paths import Artifacts
from wsgcn.vocabulary import BACKGROUND

if TYPE_CHECKING:
    from wsgcn.params import Params


def write_index(params: Params, artifacts: Artifacts) -> list[str]:
    """Read the dataset and write ``index.json``.

    Returns:
        Warnings, one line each: classes that nothing can learn.

    Raises:
        UsageError: the demo has another number of classes.
        DataError: the dataset is incomplete or broken, or its splits contradict each other.
        StageError: photographs are too large.
    """
    dataset = params.dataset
    found = dataset.read(artifacts.index.parent)
    index = replace(found, images=tuple(dataset.bounded(found.images)))
    _check_splits(index, dataset)
    save_index(artifacts.index, index)
    return [
        f"class {name!r} is shown by no photograph of split {dataset.train_split!r}: nothing can learn it"
        for name in unseen_classes(index, dataset.train_split)
    ]


def unseen_classes(index: Index, split: str) -> list[str]:
    """Names of the foreground classes that no photograph of a split shows, in order of id."""
    seen = {class_id for image in index.split(split) for class_id in image.class_ids}
    return [name for class_id, name in enumerate(index.class_names) if class_id not in seen | {BACKGROUND}]


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
