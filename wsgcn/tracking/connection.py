"""The MLflow store: opened quietly, made where there is none, given up once where it cannot be used."""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsgcn.runtime.progress import Warn
from wsgcn.store.files import write_atomic

if TYPE_CHECKING:
    from wsgcn.params import Params

_away: set[str] = set()
"""Stores that failed in this process, that is, in this command: one warning is enough, and so is one wait."""


def connect(uri: str) -> Any:
    """A client of the store, quiet, quick to give up, without telemetry.

    Args:
        uri: any MLflow tracking URI; the file of an SQLite store is made where there is none.

    Raises:
        Exception: one of :func:`troubles`.
    """
    os.environ.update(
        MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true", MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT="true"
    )
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # the default is seven tries in minutes
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    # Not catch_warnings: it swaps state of the whole process, and this may run beside a stage, in a thread.
    warnings.filterwarnings("ignore", module=r"(mlflow|sqlalchemy|alembic)\b")
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if uri.startswith("sqlite:///") and "?" not in uri:
        _make_database(Path(uri.removeprefix("sqlite:///")), MlflowClient)
    return MlflowClient(uri)


EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
"""So that MLflow's page opens on the runs, and not on the traces of language models."""


def experiment_id(client: Any, name: str) -> str:
    """MLflow's number of the experiment, which is made where there is none."""
    there = client.get_experiment_by_name(name)
    return str(there.experiment_id if there else client.create_experiment(name, tags=EXPERIMENT_TAGS))


def _make_database(path: Path, client: Callable[[str], Any]) -> None:
    """Make the SQLite file elsewhere: that takes seconds, and one killed half way leaves a file that never opens."""
    if path.exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "mlflow.db"
        client(f"sqlite:///{made}")
        if not path.exists():  # another stage may have been faster
            write_atomic(path, lambda file: file.write(made.read_bytes()))


def troubles() -> tuple[type[Exception], ...]:
    """What a store that is away, locked, full or of another version raises; Requests' errors are OSErrors."""
    from alembic.util import CommandError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, CommandError, SQLAlchemyError, OSError


def is_away(params: Params) -> bool:
    """Whether the store has failed in this process already."""
    return params.tracking.uri in _away


def give_up(params: Params, error: Exception, warn: Warn) -> None:
    """Say once, in one line, that the store cannot be used, and try it no more in this process."""
    _away.add(params.tracking.uri)
    reason = " ".join(str(error).split())[:200]
    warn(
        f"the MLflow store {params.tracking.uri} cannot be used, so nothing more is logged to it now ({reason}); "
        "`wsgcn report` logs everything later"
    )
