"""What ``wsgcn bench`` measured, as an MLflow run of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wsgcn import __version__
from wsgcn.runtime.progress import Warn
from wsgcn.tracking.connection import connect, experiment_id, giving_up
from wsgcn.tracking.contents import git_tags, milliseconds, numbers

if TYPE_CHECKING:
    from wsgcn.params import Params


def log_bench(params: Params, measured: Mapping[str, Mapping[str, Any]], warn: Warn) -> None:
    """Log what one ``wsgcn bench`` measured, with a metric for each number.

    Args:
        params: the whole of ``params.yaml``.
        measured: numbers by row and column.
        warn: told if the store is away.
    """
    with giving_up(params, warn):
        from mlflow.entities import Metric

        client, now = connect(params.tracking.uri), milliseconds()
        tags = {"mlflow.source.name": f"wsgcn {__version__}", **git_tags()}
        experiment = experiment_id(client, params.tracking.experiment)
        run = client.create_run(experiment, run_name="bench", tags=tags)
        metrics = [Metric(name, value, now, 0) for name, value in numbers(measured).items()]
        client.log_batch(run.info.run_id, metrics=metrics)
        client.set_terminated(run.info.run_id)
