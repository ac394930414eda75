"""The segmentation network of a method as a model of MLflow: checkpoint, plain code, signature, example and card."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from wsgcn.store.code import PACKAGE
from wsgcn.tracking.model import PHOTO

if TYPE_CHECKING:
    from wsgcn.methods import Method
    from wsgcn.params import Params

MODEL_NEEDS = ("mlflow", "numpy", "pillow", "psutil", "pydantic", "pydensecrf2", "rich", "torch")
"""What the model's code imports."""

CARD = """# {method} on {dataset}

A DeepLabv2 network that gives every pixel of a photograph one of {count} classes. Its training photographs had
image-level labels alone; wsgcn {version} made their pixel-wise labels with the method {method} (variant {variant},
propagation {propagation}).

- **In**: one column `{column}` of texts, each the path of a photograph or the photograph's file in base64.
- **Out**: for each photograph its height x width class ids, after test-time augmentation and the dense CRF.

| class id | name |
|---|---|
{classes}

Scores of this network and facts of its training, named as in `scores/network.json` of its run:

| score | value |
|---|---|
{scores}

## How to call it

    wsgcn predict PHOTO... --out masks --model runs:/{run}/model
    mlflow models serve -m runs:/{run}/model --env-manager local

    mlflow.pyfunc.load_model("runs:/{run}/model").predict(pandas.DataFrame({{"{column}": ["cat.jpg"]}}))

The server takes `POST /invocations` with `{{"dataframe_split": {{"columns": ["{column}"], "data": [["<base64>"]]}}}}`.
"""


def save_model(
    folder: Path, checkpoint: Path, params: Params, method: Method, scores: Mapping[str, float], run_id: str
) -> None:
    """Write the network as a model of MLflow: the checkpoint, this package's code to read it, and nothing pickled.

    Args:
        folder: gets the model.
        checkpoint: of the network.
        params: the whole of ``params.yaml``.
        method: whose network.
        scores: of the network by name, for the card.
        run_id: of the run that will hold the model.
    """
    from mlflow import pyfunc

    # PyTorch's local version (2.12.0+cpu) is on no index.
    needed = [f"{name}=={metadata.version(name).split('+')[0]}" for name in MODEL_NEEDS]
    classes = list(params.dataset.classes)
    pyfunc.save_model(
        str(folder),
        loader_module="wsgcn.tracking.model",
        data_path=str(checkpoint),
        code_paths=[str(PACKAGE)],
        pip_requirements=needed,
        model_config={"device": params.runtime.device, "classes": classes, **params.segmentation},
        signature=_signature(),
        input_example=_example(),
        metadata={"method": method.name, "dataset": params.dataset.name, "classes": classes},
    )
    (folder / "README.md").write_text(_card(params, method, scores, run_id))


def _signature() -> Any:
    """A column of texts in; rows of class ids for each photograph out, whose sizes differ."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import Array

    return ModelSignature(
        inputs=Schema([ColSpec(DataType.string, PHOTO)]), outputs=Schema([ColSpec(Array(Array(DataType.long)))])
    )


def _example() -> Any:
    """A small grey photograph in base64: an example that works on any machine."""
    import pandas

    file = io.BytesIO()
    Image.new("RGB", (48, 32), (124, 116, 104)).save(file, format="PNG")
    return pandas.DataFrame({PHOTO: [base64.b64encode(file.getvalue()).decode()]})


def _card(params: Params, method: Method, scores: Mapping[str, float], run_id: str) -> str:
    return CARD.format(
        method=method.name,
        dataset=params.dataset.name,
        variant=method.variant.name,
        propagation=method.propagation.kind,
        version=metadata.version("wsgcn"),
        column=PHOTO,
        count=len(params.dataset.classes),
        classes="\n".join(f"| {number} | {name} |" for number, name in enumerate(params.dataset.classes)),
        scores="\n".join(f"| {name} | {value:.4g} |" for name, value in scores.items()),
        run=run_id,
    )
