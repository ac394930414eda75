"""How long a tracking server takes for what a large dataset has to log, and what it takes in SQLite.

    python -m tests.team_times

Starts PostgreSQL, MLflow's server and S3 on the loopback address, see ``tests.servers``. Prints a table in Markdown.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from tests import servers
from tests.conftest import changed
from tests.tracking.conftest import METHOD, NAMES, write_labels, write_network
from tests.tracking.test_team import PHOTOGRAPHS, drawn_losses
from wsgcn.params import Params, load_params
from wsgcn.store.files import write_table
from wsgcn.store.paths import Artifacts
from wsgcn.tracking.complete import complete_run
from wsgcn.tracking.connection import connect
from wsgcn.tracking.contents import Point, milliseconds
from wsgcn.tracking.live import live_means
from wsgcn.tracking.run import Run


def _stores(stack: ExitStack, folder: Path) -> Iterator[tuple[str, str]]:
    """The stores, by what they are called in the table."""
    database = stack.enter_context(servers.postgres())
    bucket = stack.enter_context(servers.s3())
    yield "SQLite", f"sqlite:///{folder / 'mlflow.db'}"
    yield "server, folder", stack.enter_context(servers.tracking(database.url, folder / "files")).url
    keys = servers.KEYS | {"MLFLOW_S3_ENDPOINT_URL": bucket.url}
    yield "server, S3", stack.enter_context(servers.tracking(database.url, f"s3://{servers.BUCKET}/files", keys)).url


def _works(params: Params, folder: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """What is measured, in order."""
    artifacts, method, losses = Artifacts(folder), params.method(METHOD), drawn_losses()
    write_labels(artifacts)
    write_table(artifacts.losses(METHOD), ("id", *NAMES), losses)
    points = [
        Point(name, step, value, milliseconds())
        for step, (_, *values) in enumerate(losses)
        for name, value in zip(NAMES, values, strict=True)
    ]

    def means() -> None:
        with live_means(params, params.method("IRNet"), sys.exit) as log:
            for step, (_, *values) in enumerate(losses):
                log(dict(zip(NAMES, values, strict=True)), step)

    def complete() -> None:
        complete_run(params, artifacts, method, sys.exit)

    yield f"means of {PHOTOGRAPHS} x {len(NAMES)} losses, live", means
    yield f"table and means of {PHOTOGRAPHS} x {len(NAMES)} losses, with all of the labels' part", complete
    write_network(artifacts)
    yield "network, its model and its scores", complete
    yield "nothing new", complete
    yield f"{len(points)} points of curves", lambda: Run(params, params.method("PSA")).add(points)


def main() -> None:
    """Measure every store, then print."""
    params = load_params(Path("params.yaml"))
    rows: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        os.chdir(folder)
        names = []
        for name, uri in _stores(stack, Path(folder)):
            names.append(name)
            connect(uri)
            for what, work in _works(
                changed(params, {"tracking.uri": uri, "tracking.experiment": name}), Path(folder) / name
            ):
                start = time.perf_counter()
                work()
                rows.setdefault(what, []).append(f"{time.perf_counter() - start:.1f}")
        os.chdir("/")
    table = [("seconds", *names), ("---",) * (1 + len(names)), *((what, *cells) for what, cells in rows.items())]
    sys.stdout.write("".join(f"| {' | '.join(row)} |\n" for row in table))


if __name__ == "__main__":
    main()
