"""The MLflow run of one method with one set of parameters."""

from __future__ import annotations

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsgcn import __version__
from wsgcn.tracking.connection import connect, experiment_id, troubles
from wsgcn.tracking.contents import Point, git_tags, milliseconds, run_name
from wsgcn.tracking.parameters import flat_params

if TYPE_CHECKING:
    from wsgcn.methods import Method
    from wsgcn.params import Params

MAX_METRICS, MAX_PARAMS = 1000, 100
"""MLflow's own limits: metrics and parameters a batch."""

SUPERSEDED = "superseded"
"""Tag of a run whose curves are not those on disk any more; it stays, for comparison."""


class Run:
    """The run of a method: found by its method and parameters, or made where there is none.

    Args:
        params: the whole of ``params.yaml``.
        method: one of its methods.

    Attributes:
        client: of the store.
        id: the run's, as MLflow has it.
    """

    def __init__(self, params: Params, method: Method):
        self._method = method
        self._params = flat_params(params, method)
        self._tags = {
            "method": method.name,
            "variant": method.variant.name,
            "propagation": method.propagation.kind,
            "dataset": params.dataset.name,
            "parameters": hashlib.sha256(json.dumps(self._params, sort_keys=True).encode()).hexdigest()[:16],
            "mlflow.source.name": f"wsgcn {__version__}",
            **git_tags(),
        }
        self.client = connect(params.tracking.uri)
        self._experiment = experiment_id(self.client, params.tracking.experiment)
        self.id = self._find() or self._create()
        self._known: dict[str, dict[int, float]] = {}

    def _find(self) -> str | None:
        """The method's run with these parameters: the oldest, should two processes have made one each."""
        runs = self.client.search_runs(
            [self._experiment],
            f"tags.parameters = '{self._tags['parameters']}'",
            order_by=["attributes.start_time ASC", "attributes.run_id ASC"],
        )
        for run in runs:
            if run.data.tags.get("method") == self._method.name and SUPERSEDED not in run.data.tags:
                return str(run.info.run_id)
        return None

    def _create(self) -> str:
        """Make a run, and give it up where another process was faster."""
        run = self.client.create_run(self._experiment, run_name=run_name(self._method), tags=self._tags)
        made = str(run.info.run_id)
        found = self._find() or made
        if found != made:
            self.client.delete_run(made)
        return found

    def describe(self, status: str) -> None:
        """Log the parameters that the run lacks, this commit's tags, and whether work goes on."""
        from mlflow.entities import RunTag
        from mlflow.exceptions import MlflowException

        try:
            self._log_params()
        except MlflowException:  # another process may have logged them at the same moment
            self._log_params()
        self.client.log_batch(self.id, tags=[RunTag(name, value) for name, value in self._tags.items()])
        self.client.update_run(self.id, status=status)

    def _log_params(self) -> None:
        from mlflow.entities import Param

        there = self.client.get_run(self.id).data.params
        lacking = [Param(name, value) for name, value in self._params.items() if name not in there]
        for some in _parts(lacking, MAX_PARAMS):
            self.client.log_batch(self.id, params=some)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Describe the run and complete it in the block; an interrupt closes it as killed, as a stage's own would."""
        self.describe("RUNNING")
        try:
            yield
        except (KeyboardInterrupt, SystemExit):
            with suppress(*troubles()):
                self.client.set_terminated(self.id, "KILLED")
            raise
        self.finish()

    def finish(self) -> None:
        """Close the run, also one that a kill, an interrupt or an outage has left otherwise."""
        if self.client.get_run(self.id).info.status != "FINISHED":
            self.client.set_terminated(self.id)

    def tag(self, name: str) -> str | None:
        """The value of a tag, None where the run has no such tag."""
        value = self.client.get_run(self.id).data.tags.get(name)
        return None if value is None else str(value)

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

    def log_table(self, file: Path, name: str) -> None:
        """Log a JSON file of ``columns`` and ``data`` that MLflow shows as a table, in place of an older one.

        MLflow's own function appends to a table that is there, so that one logged twice would have its rows twice.
        """
        from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_ARTIFACTS

        folder, _, _ = name.rpartition("/")
        self.client.log_artifact(self.id, str(file), folder)
        listed = json.loads(self.tag(MLFLOW_LOGGED_ARTIFACTS) or "[]")
        entry = {"path": name, "type": "table"}
        if entry not in listed:
            self.client.set_tag(self.id, MLFLOW_LOGGED_ARTIFACTS, json.dumps([*listed, entry]))

    def _lacking(self, points: Sequence[Point]) -> list[Point]:
        self._read({point.name for point in points})
        return [point for point in points if not _same(self._known[point.name].get(point.step), point.value)]

    def _contradict(self, fresh: Sequence[Point]) -> bool:
        return any(point.step in self._known[point.name] for point in fresh)

    def _hold_others(self, points: Sequence[Point]) -> bool:
        """Whether the run has points of these very curves that are not among those given; other curves may be there."""
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
        self.client.update_run(self.id, status="FINISHED", name=f"{run_name(self._method)} (superseded)")
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
