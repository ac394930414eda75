"""The MLflow store: opened quietly, made where there is none, given up once where it cannot be used."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import sqlite3
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from wsgcn.runtime.progress import Warn
from wsgcn.store.paths import in_project

if TYPE_CHECKING:
    from wsgcn.params import Params

SQLITE = "sqlite:///"
ARTIFACTS = "mlruns"
"""Folder beside an SQLite store for the files of its runs, as MLflow has it."""
HOME = "wsgcn.home"
"""Tag of an experiment of ours: the folder of its files, when a command last looked."""
TIMEOUT, FILES_TAKE = "MLFLOW_HTTP_REQUEST_TIMEOUT", 120
"""MLflow's variable of the seconds that a server may take to answer, and for a file, which is MLflow's own value."""
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
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # the default is seven tries in minutes
    os.environ.setdefault(TIMEOUT, "10")
    # Not catch_warnings: it swaps state of the whole process, and this may run beside a stage, in a thread.
    warnings.filterwarnings("ignore", module=r"(mlflow|sqlalchemy|alembic)\b")
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # its errors reach us: it would show them, too
    file = database_of(uri)
    if file is None:
        return MlflowClient(uri)
    _make_database(file, MlflowClient)
    _come_home(file)
    return MlflowClient(f"{SQLITE}{file}")


@contextmanager
def patient() -> Iterator[None]:
    """Let a server that is there take its time for files: it hands a network on to S3 before it answers."""
    before = os.environ[TIMEOUT]
    os.environ[TIMEOUT] = str(max(int(before), FILES_TAKE))
    try:
        yield
    finally:
        os.environ[TIMEOUT] = before


def database_of(uri: str) -> Path | None:
    """The file of an SQLite store, a relative one in the project's folder; None for any other store."""
    return in_project(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) and "?" not in uri else None


EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
"""So that MLflow's page opens on the runs, and not on the traces of language models."""


def experiment_id(client: Any, name: str) -> str:
    """MLflow's number of the experiment, which is made where there is none."""
    from mlflow.exceptions import MlflowException

    there = client.get_experiment_by_name(name)
    if there is None:
        try:
            return _make_experiment(client, name)
        except MlflowException:
            there = client.get_experiment_by_name(name)  # another process may have been faster
            if there is None:
                raise
    return str(there.experiment_id)


def _make_experiment(client: Any, name: str) -> str:
    file = database_of(client.tracking_uri)
    if file is None:
        return str(client.create_experiment(name, tags=EXPERIMENT_TAGS))
    # MLflow's default is a folder where the command runs, which may be DVC's copy of the project.
    place = _artifacts_beside(file)
    tags = EXPERIMENT_TAGS | {HOME: str(place)}
    return str(client.create_experiment(name, (place / quote(name, safe="")).as_uri(), tags))


def _artifacts_beside(file: Path) -> Path:
    return file.absolute().parent / ARTIFACTS


@cache
def _come_home(file: Path) -> None:
    """Let our experiments in a project that was copied or moved keep their files in its own folder.

    MLflow notes where files lie as absolute paths: a copy would go on writing into the original. Experiments of others
    in the same store stay as they are.
    """
    home = _artifacts_beside(file)
    with suppress(sqlite3.Error), closing(sqlite3.connect(file, timeout=10)) as store, store:
        ours = "SELECT experiment_id, value FROM experiment_tags WHERE key = ? AND value != ?"
        for number, noted in store.execute(ours, (HOME, str(home))).fetchall():
            old, new = (f"{Path(one).as_uri()}/" for one in (noted, home))
            for table, column in _PLACES:
                store.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
                    (new, len(old) + 1, len(old), old),
                )
            store.execute(
                "UPDATE experiment_tags SET value = ? WHERE experiment_id = ? AND key = ?", (str(home), number, HOME)
            )


_PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Tables and columns in which MLflow notes where files lie."""


def _make_database(path: Path, client: Callable[[str], Any]) -> None:
    """Make the SQLite file elsewhere: that takes seconds, and one killed half way leaves a file that never opens."""
    if path.exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "mlflow.db"
        client(f"sqlite:///{made}")
        _put(made, path)


def _put(made: Path, path: Path) -> None:
    """Let a file appear whole where there is none; one that another process has put there meanwhile stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        shutil.copyfile(made, beside)
        try:
            os.link(beside, path)  # a rename would replace the other's, and lose the runs in it
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def troubles() -> tuple[type[Exception], ...]:
    """What a store that is away, locked, full or of another version raises; Requests' errors are OSErrors."""
    from alembic.util import CommandError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, CommandError, SQLAlchemyError, OSError


@contextmanager
def troubles_go_to(handle: Callable[[Exception], object]) -> Iterator[None]:
    """Hand what a store raises to a function.

    The kinds are not asked for by an ``except``, which would do so at an interrupt, too, amid the import of MLflow.
    """
    try:
        yield
    except Exception as error:
        if not isinstance(error, troubles()):
            raise
        handle(error)


def is_away(params: Params) -> bool:
    """Whether the store has failed in this process already."""
    return params.tracking.uri in _away


def giving_up(params: Params, warn: Warn) -> AbstractContextManager[None]:
    """Where the store turns out to be away, :func:`give_up`, and go on."""
    return troubles_go_to(lambda error: give_up(params, error, warn))


def give_up(params: Params, error: Exception, warn: Warn) -> None:
    """Say once, in one line, that the store cannot be used, and try it no more in this process."""
    _away.add(params.tracking.uri)
    reason = " ".join(str(error).split())[:200]
    warn(
        f"the MLflow store {params.tracking.uri} cannot be used, so nothing more is logged to it now ({reason}); "
        "`wsgcn report` logs everything later"
    )
