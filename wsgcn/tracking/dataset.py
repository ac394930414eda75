"""The dataset that a method learned from, as an input of its MLflow run."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from wsgcn.store.fingerprints import file_digest
from wsgcn.store.index import load_index
from wsgcn.tracking.run import Run

MAX_DIGEST = 36
"""MLflow's own limit: characters of a dataset's digest."""


def log_dataset(run: Run, file: Path) -> None:
    """Log the dataset's name, the digest of its index, its folder, its classes and how many photographs its lists have.

    MLflow keeps a dataset once in a run, however often it is logged.

    Args:
        run: of a method.
        file: the index.

    Raises:
        DataError: the index is broken.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

    index = load_index(file)
    lists = Counter(split for image in index.images for split in image.splits)
    profile = {"photographs": len(index.images), "lists": lists, "classes": index.class_names}
    dataset = Dataset(
        name=index.name,
        digest=file_digest(file)[:MAX_DIGEST],
        source_type="local",
        source=json.dumps({"uri": index.root}),
        profile=json.dumps(profile),
    )
    run.client.log_inputs(run.id, [DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, "training")])])
