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
import tempfile
import threading
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsgcn import __version__
from wsgcn.errors import DataError
from wsgcn.record import (
    CHECKPOINT,
    Point,
    Recorded,
    curves,
    digest_of,
    files_of,
    flat_params,
    git_tags,
    milliseconds,
    numbers,
    run_name,
)
from wsgcn.store.files import read_json, write_atomic
from wsgcn.store.fingerprints import PACKAGE
from wsgcn.store.paths import Artifacts

if TYPE_CHECKING:
    from wsgcn.params import Params
    from wsgcn.runtime.progress import LogMetrics
    from wsgcn.vocabulary import Method

Warn = Callable[[str], None]

SEND_EVERY = 2.0
"""Seconds between two batches of live points."""

MAX_METRICS, MAX_PARAMS = 1000, 100
"""MLflow's own limits: metrics and parameters a batch."""

SUPERSEDED = "superseded"
"""Tag of a run whose curves are not those on disk any more; it stays, for comparison."""

RECORDED = "recorded"
"""Tag with the digest of the files that are logged completely."""

MODEL_NEEDS = ("mlflow", "numpy", "pillow", "rich", "torch")
"""What the model's code imports."""

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


def log_bench(params: Params, measured: Mapping[str, Mapping[str, Any]], warn: Warn) -> None:
    """Record what one ``wsgcn bench`` measured as a run of its own, with a metric for each number.

    Args:
        params: the whole of ``params.yaml``.
        measured: numbers by row and column.
        warn: told if the store is away.
    """
    try:
        from mlflow.entities import Metric

        client, now = _connect(params.tracking.uri), milliseconds()
        tags = {"mlflow.source.name": f"wsgcn {__version__}", **git_tags()}
        run = client.create_run(_experiment(client, params.tracking.experiment), run_name="bench", tags=tags)
        metrics = [Metric(name, value, now, 0) for name, value in numbers(measured).items()]
        client.log_batch(run.info.run_id, metrics=metrics)
        client.set_terminated(run.info.run_id)
    except _troubles() as error:
        _give_up(params, error, warn)


def recorded(params: Params, warn: Warn) -> list[Recorded]:
    """Every complete run of the experiment, the newest first; none where the store is away."""
    if params.tracking.uri in _away:
        return []
    try:
        client = _connect(params.tracking.uri)
        runs = client.search_runs(
            [_experiment(client, params.tracking.experiment)], "attributes.status = 'FINISHED'", max_results=1000
        )
    except _troubles() as error:
        _give_up(params, error, warn)
        return []
    return [
        Recorded(run.data.tags["method"], run.data.params, run.data.metrics)
        for run in runs
        if RECORDED in run.data.tags and SUPERSEDED not in run.data.tags
    ]


# ---------------------------------------------------------------- the store


def _connect(uri: str) -> Any:
    """A client of the store, quiet, quick to give up, without telemetry."""
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


def _experiment(client: Any, name: str) -> str:
    """The number of the experiment, which is made where there is none."""
    there = client.get_experiment_by_name(name)
    return str(there.experiment_id if there else client.create_experiment(name))


def _make_database(path: Path, client: Callable[[str], Any]) -> None:
    """Make the SQLite file elsewhere: that takes seconds, and one killed half way leaves a file that never opens."""
    if path.exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "mlflow.db"
        client(f"sqlite:///{made}")
        if not path.exists():  # another stage may have been faster
            write_atomic(path, lambda file: file.write(made.read_bytes()))


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


class _Run:
    """The run of one method with one set of parameters: found, or made where there is none."""

    def __init__(self, params: Params, method: Method):
        self.method = method
        self._params = flat_params(params)
        digest = hashlib.sha256(json.dumps(self._params, sort_keys=True).encode()).hexdigest()[:16]
        self._tags = {
            "method": method.name,
            "variant": method.variant,
            "propagation": method.propagation,
            "dataset": params.dataset.name,
            "parameters": digest,
            "mlflow.source.name": f"wsgcn {__version__}",
            **git_tags(),
        }
        self.model_settings = {
            "device": params.runtime.device,
            "scales": list(params.evaluate.seg_scales),
            "flip": params.evaluate.seg_flip,
        }
        self.client = _connect(params.tracking.uri)
        self._experiment = _experiment(self.client, params.tracking.experiment)
        self.id = self._find() or self._create()
        self._known: dict[str, dict[int, float]] = {}

    def _find(self) -> str | None:
        same = " and ".join(f"tags.{name} = '{self._tags[name]}'" for name in ("method", "parameters"))
        runs = self.client.search_runs([self._experiment], same)
        return next((run.info.run_id for run in runs if SUPERSEDED not in run.data.tags), None)

    def _create(self) -> str:
        run = self.client.create_run(self._experiment, run_name=run_name(self.method), tags=self._tags)
        return str(run.info.run_id)

    def describe(self, status: str) -> None:
        """Log the parameters that the run lacks, this commit's tags, and whether work goes on."""
        from mlflow.entities import Param, RunTag

        there = self.client.get_run(self.id).data.params
        lacking = [Param(name, value) for name, value in self._params.items() if name not in there]
        for some in _parts(lacking, MAX_PARAMS):
            self.client.log_batch(self.id, params=some)
        self.client.log_batch(self.id, tags=[RunTag(name, value) for name, value in self._tags.items()])
        self.client.update_run(self.id, status=status)

    def add(self, points: Sequence[Point], whole: bool = False) -> None:
        """Log the points that the run lacks.

        A curve that differs from the run's is of other code or data: two of them in one plot would be a zigzag, so
        the run is set aside and a new one takes the method's name.

        Args:
            points: of any curves.
            whole: the curves have no other points.
        """
        fresh = self._lacking(points)
        if self._contradict(fresh) or (whole and self._hold_others(points)):
            self._start_anew()
            fresh = list(points)
        self._log(fresh)

    def replace(self, values: Mapping[str, float]) -> None:
        """Log numbers that have no step; one that changed replaces the older as the run's latest."""
        now = milliseconds()
        self._log(self._lacking([Point(name, 0, value, now) for name, value in values.items()]))

    def _lacking(self, points: Sequence[Point]) -> list[Point]:
        self._read({point.name for point in points})
        return [point for point in points if not _same(self._known[point.name].get(point.step), point.value)]

    def _contradict(self, fresh: Sequence[Point]) -> bool:
        return any(point.step in self._known[point.name] for point in fresh)

    def _hold_others(self, points: Sequence[Point]) -> bool:
        given = {(point.name, point.step) for point in points}
        names = {point.name for point in points}
        return any((name, step) not in given for name in names for step in self._known[name])

    def _read(self, names: set[str]) -> None:
        """Learn what the run has of these curves; each is read once."""
        unread = names - self._known.keys()
        there = self.client.get_run(self.id).data.metrics if unread else {}
        for name in unread:
            history = self.client.get_metric_history(self.id, name) if name in there else []
            history.sort(key=lambda metric: metric.timestamp)
            self._known[name] = {metric.step: metric.value for metric in history}

    def _start_anew(self) -> None:
        self.client.set_tag(self.id, SUPERSEDED, "true")
        self.client.update_run(self.id, status="FINISHED", name=f"{run_name(self.method)} (superseded)")
        self.id = self._create()
        self._known = defaultdict(dict)
        self.describe("RUNNING")

    def _log(self, points: Sequence[Point]) -> None:
        from mlflow.entities import Metric

        for some in _parts(points, MAX_METRICS):
            metrics = [Metric(point.name, point.value, point.milliseconds, point.step) for point in some]
            self.client.log_batch(self.id, metrics=metrics)
        for point in points:
            self._known[point.name][point.step] = point.value


def _parts(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _same(known: float | None, value: float) -> bool:
    """Stores keep infinity as a large number and single precision in some databases."""
    if known is None:
        return False
    return not math.isfinite(value) or math.isclose(known, value, rel_tol=1e-6)


# ---------------------------------------------------------------- live curves


class _Sender(threading.Thread):
    """Sends points in batches while a stage works; makes no run where no point ever comes."""

    def __init__(self, params: Params, method: Method):
        super().__init__(name="mlflow", daemon=True)
        self.trouble: Exception | None = None
        self._params, self._method = params, method
        self._lock, self._done = threading.Lock(), threading.Event()
        self._points: list[Point] = []
        self._status = "RUNNING"
        self._run: _Run | None = None

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Keep points for the next batch."""
        now = milliseconds()
        with self._lock:
            self._points += [Point(name, step, float(value), now) for name, value in metrics.items()]

    def finish(self, status: str) -> None:
        """Send the rest and close the run."""
        self._status = status
        self._done.set()
        self.join()

    def run(self) -> None:
        """Send until :meth:`finish`."""
        try:
            while not self._done.wait(SEND_EVERY):
                self._send()
            self._send()
            if self._run is not None:
                self._run.client.set_terminated(self._run.id, self._status)
        except _troubles() as error:
            self.trouble = error

    def _send(self) -> None:
        with self._lock:
            points, self._points = self._points, []
        if not points:
            return
        if self._run is None:
            self._run = _Run(self._params, self._method)
            self._run.describe("RUNNING")
        self._run.add(points)


# ---------------------------------------------------------------- the record


def _complete(run: _Run, artifacts: Artifacts, warn: Warn) -> None:
    """Log everything on disk, unless the run says that these very files are logged."""
    files = files_of(artifacts, run.method)
    for name in [name for name, path in files.items() if not path.is_file()]:
        warn(f"{files.pop(name)} is missing: MLflow's record of {run.method.name} is made without it")
    digest = digest_of(files)
    if run.client.get_run(run.id).data.tags.get(RECORDED) == digest:
        return
    run.describe("RUNNING")
    run.add(curves(files), whole=True)
    run.replace(numbers(read_json(artifacts.metrics(run.method.name))))
    for name, path in files.items():
        if name != CHECKPOINT:
            run.client.log_artifact(run.id, str(path), name.rpartition("/")[0] or None)
    if CHECKPOINT in files:
        _log_model(run, files[CHECKPOINT])
    run.client.set_tag(run.id, RECORDED, digest)
    run.client.set_terminated(run.id)


def _log_model(run: _Run, checkpoint: Path) -> None:
    """The network as a model of MLflow: the checkpoint, this package's code to read it, and nothing pickled."""
    from mlflow import pyfunc

    # PyTorch's local version (2.12.0+cpu) is on no index.
    needed = [f"{name}=={metadata.version(name).split('+')[0]}" for name in MODEL_NEEDS]
    with tempfile.TemporaryDirectory() as folder:
        pyfunc.save_model(
            f"{folder}/model",
            loader_module="wsgcn.segmenter",
            data_path=str(checkpoint),
            code_paths=[str(PACKAGE)],
            pip_requirements=needed,
            model_config=run.model_settings,
        )
        run.client.log_artifacts(run.id, f"{folder}/model", "model")
