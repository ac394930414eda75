"""MLflow: a view of what DVC made, one run per method, never a switch.

Whatever is wrong with the store is one warning, and the pipeline goes on. MLflow is imported when there is something to
log, not before, and live curves are sent by a thread of their own: a stage never waits for them.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import re
import subprocess
import tempfile
import threading
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from wsgcn import __version__
from wsgcn.artifacts import PACKAGE, Artifacts, file_digest, read_json, read_table
from wsgcn.errors import DataError

if TYPE_CHECKING:
    from wsgcn.labels import Method
    from wsgcn.params import Params
    from wsgcn.runtime import LogMetrics

Warn = Callable[[str], None]

SEND_EVERY = 2.0
"""Seconds between two batches of live points."""

MAX_METRICS, MAX_PARAMS, MAX_VALUE, MAX_NAME = 1000, 100, 6000, 250
"""MLflow's own limits: metrics and parameters a batch, characters of a parameter's value and of a name."""

SUPERSEDED = "superseded"
"""Tag of a run whose curves are not those on disk any more; it stays, for comparison."""

_away: set[str] = set()
"""Stores that failed in this process, that is, in this command: one warning is enough, and so is one wait."""


@contextmanager
def live(params: Params, method: Method, warn: Warn) -> Iterator[LogMetrics]:
    """Let a long stage show its curves while it works.

    Args:
        params: the whole of ``params.yaml``.
        method: whose run takes the points.
        warn: told once, at the end, if the points could not be sent.

    Yields:
        A function that takes metrics by name and their step, and returns at once.
    """
    sender = _Sender(params, method)
    sender.start()
    status = "FAILED"
    try:
        yield sender.log
        status = "FINISHED"
    finally:
        sender.finish(status)
        if sender.trouble:
            _give_up(params, sender.trouble, warn)


def record(params: Params, artifacts: Artifacts, method: Method, warn: Warn) -> None:
    """Complete a method's run with everything that is on disk; what the run has already is not logged again.

    Args:
        params: the whole of ``params.yaml``.
        artifacts: where files lie.
        method: whose files to record.
        warn: told of a file that is missing, and once a command if the store is away.
    """
    if params.tracking.uri in _away:
        return
    try:
        _complete(_Run(params, method), artifacts, warn)
    except DataError as error:
        warn(f"MLflow's record of {method.name} is incomplete: {error}")
    except _troubles() as error:
        _give_up(params, error, warn)


# ---------------------------------------------------------------- the store


def _connect(uri: str) -> Any:
    """A client of the store, quiet, quick to give up, without telemetry."""
    os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true", MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT="true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # the default is seven tries in minutes
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return MlflowClient(uri)


def _troubles() -> tuple[type[Exception], ...]:
    """What a store that is away, locked, full or of another version raises; Requests' errors are OSErrors."""
    from alembic.util import CommandError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, CommandError, SQLAlchemyError, OSError


def _give_up(params: Params, error: Exception, warn: Warn) -> None:
    _away.add(params.tracking.uri)
    reason = " ".join(str(error).split())[:200]
    warn(
        f"MLflow's store {params.tracking.uri} cannot be used, nothing more is recorded in it ({reason}); "
        "`wsgcn report` records everything later"
    )


# ---------------------------------------------------------------- a run


class _Point(NamedTuple):
    name: str
    step: int
    value: float
    milliseconds: int


class _Run:
    """The run of one method with one set of parameters: found, or made where there is none."""

    def __init__(self, params: Params, method: Method):
        self.described = _describe(params)
        self.method = method.name
        self._client = _connect(params.tracking.uri)
        self._experiment = self._find_experiment(params.tracking.experiment)
        digest = hashlib.sha256(json.dumps(self.described, sort_keys=True).encode()).hexdigest()[:16]
        self._tags = {
            "method": method.name,
            "variant": method.variant,
            "propagation": method.propagation,
            "dataset": params.dataset.name,
            "parameters": digest,
            "mlflow.source.name": f"wsgcn {__version__}",
        } | _git_tags()
        self.id = self._find() or self._create()
        self._known: dict[str, dict[int, float]] = {}

    def __getattr__(self, name: str) -> Any: ...
