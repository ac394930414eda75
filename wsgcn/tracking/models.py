"""Networks that MLflow keeps, fetched by their address; nothing of their code runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import yaml

from wsgcn.errors import DataError
from wsgcn.tracking.connection import connect, database_of, troubles_go_to

ADDRESSES = ("runs:/", "models:/")
"""How MLflow's addresses of models begin."""
SETTINGS = ("classes", "scales", "flip", "merge", "crf")
_LOADER = "wsgcn.tracking.model"


def fetch_model(address: str, tracking_uri: str | None, folder: Path) -> tuple[Path, Mapping[str, Any]]:
    """Copy a model of ours out of MLflow.

    Args:
        address: ``runs:/<run>/model`` or ``models:/<name>/<version>``.
        tracking_uri: of the store; None = the environment variable ``MLFLOW_TRACKING_URI``.
        folder: for the copy.

    Returns:
        The checkpoint, and the settings that were logged beside it.

    Raises:
        DataError: there is no such model, the store is away, or the model is not one of ours.
    """
    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    if uri is None:
        raise DataError(f"{address} is in no known store: go into the project's folder, or set MLFLOW_TRACKING_URI")
    file = database_of(uri)
    if file is not None and not file.is_file():
        raise DataError(f"{address} is in no store: there is no {file}")

    def away(error: Exception) -> NoReturn:
        raise DataError(f"{address} cannot be taken from {uri} ({_one_line(error)}): see `mlflow ui`") from error

    try:
        with troubles_go_to(away):
            store = connect(uri).tracking_uri
            from mlflow.artifacts import download_artifacts

            found = Path(download_artifacts(address, dst_path=str(folder), tracking_uri=store, registry_uri=store))
        flavour = yaml.safe_load((found / "MLmodel").read_text())["flavors"]["python_function"]
        if flavour["loader_module"] != _LOADER:
            raise DataError(f"{address} is a model of {flavour['loader_module']}, not of wsgcn: name another one")
        settings: dict[str, Any] = flavour["config"]
        if not {*SETTINGS} <= {*settings}:
            raise DataError(f"{address} was logged by an older version, without its classes: run `wsgcn report` anew")
        return found / flavour["data"], settings
    except (OSError, KeyError, TypeError, AttributeError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise DataError(f"{address} is no model of wsgcn ({_one_line(error)}): name another one") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
