"""Servers on the loopback address, as a lab has them: PostgreSQL, MLflow's tracking server, and S3 by moto.

None is part of the installation. PostgreSQL is Debian's package ``postgresql``; ``pip install psycopg2-binary
'moto[server]' dvc-s3`` adds the rest. What needs one that is not there is skipped, see :func:`needs`.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

HOST = "127.0.0.1"
BUCKET = "wsgcn"
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}
"""What moto takes: anything."""
UP_WITHIN = 600.0
"""Seconds in which a server must answer, on a busy machine too; MLflow's makes its tables first."""


def needs(*modules: str, postgres: bool = False) -> pytest.MarkDecorator:
    """Skip, with the reason, where a module or PostgreSQL is not installed."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    missing += ["PostgreSQL"] if postgres and _postgres_programs() is None else []
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} is not installed: see tests/servers.py")


def free_port() -> int:
    """A port that nothing uses at the moment."""
    with socket.socket() as found:
        found.bind((HOST, 0))
        return int(found.getsockname()[1])


@dataclass
class Server:
    """A program that answers on a port, with all processes that it starts; it can be killed and come back.

    Attributes:
        command: the program with its options; ``{port}`` stands for the port.
        answers: whether it does, asked again and again after a start.
        environment: variables besides those of this process.
        user: whose the process is, None for the one of this process; so for ``group``.
        stop_signal: which ends it in order.
        address: with ``{port}`` too.
    """

    command: list[str]
    answers: Callable[[Server], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    group: str | None = None
    stop_signal: int = signal.SIGTERM
    address: str = f"http://{HOST}:{{port}}"
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address, as clients take it."""
        return self.address.format(port=self.port)

    def start(self) -> None:
        """Start it, on the same port as ever, and wait until it answers."""
        with tempfile.TemporaryFile() as said:
            self._process = subprocess.Popen(
                [word.format(port=self.port) for word in self.command],
                env=os.environ | dict(self.environment), user=self.user, group=self.group, cwd=tempfile.gettempdir(),
                stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
            )  # fmt: skip
            deadline = time.monotonic() + UP_WITHIN
            while not self.answers(self):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.kill()
                    said.seek(0)
                    raise AssertionError(f"{self.command[0]} does not answer:\n{said.read().decode()}")
                time.sleep(0.1)

    def kill(self) -> None:
        """End all of its processes at once, as a power cut does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order."""
        self._end(self.stop_signal)

    def _end(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, number)
            self._process.wait(30)


@contextmanager
def _running(server: Server) -> Iterator[Server]:
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _answers_http(path: str) -> Callable[[Server], bool]:
    def answers(server: Server) -> bool:
        try:
            with urllib.request.urlopen(server.url + path, timeout=5) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    return answers


# ---------------------------------------------------------------- PostgreSQL


def _postgres_programs() -> Path | None:
    """The folder of ``initdb`` and ``postgres``; Debian's is on no path."""
    on_path = shutil.which("initdb")
    folders = [Path(on_path).resolve().parent] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return folders[-1] if folders else None


@contextmanager
def postgres() -> Iterator[Server]:
    """An empty PostgreSQL of its own in a temporary folder; ``url`` is its database, as MLflow takes it."""
    programs = _postgres_programs()
    assert programs is not None
    user = "nobody" if os.getuid() == 0 else None  # PostgreSQL refuses root
    group = "nogroup" if user else None
    with tempfile.TemporaryDirectory(prefix="wsgcn-postgres-") as folder:
        if user:
            shutil.chown(folder, user)
        subprocess.run(
            [programs / "initdb", "-D", f"{folder}/data", "-U", "wsgcn", "--auth=trust", "-E", "UTF8", "--no-sync"],
            user=user, group=group, cwd=folder, check=True, capture_output=True,
        )  # fmt: skip
        options = ["-c", f"listen_addresses={HOST}", "-c", "unix_socket_directories="]
        command = [str(programs / "postgres"), "-D", f"{folder}/data", "-p", "{port}", *options]

        def answers(server: Server) -> bool:
            ask = [str(programs / "pg_isready"), "-q", "-h", HOST, "-p", str(server.port)]
            return subprocess.run(ask).returncode == 0

        address = f"postgresql+psycopg2://wsgcn@{HOST}:{{port}}/postgres"
        # SIGINT is its fast shutdown: it waits for no client.
        server = Server(command, answers, user=user, group=group, stop_signal=signal.SIGINT, address=address)
        with _running(server):
            yield server


# ---------------------------------------------------------------- S3


@contextmanager
def s3() -> Iterator[Server]:
    """An S3 service with an empty bucket, :data:`BUCKET`; clients need :data:`KEYS` in their environment."""
    import boto3

    command = [sys.executable, "-m", "moto.server", "-H", HOST, "-p", "{port}"]
    with _running(Server(command, _answers_http("/moto-api/"))) as server:
        names = {name.lower(): value for name, value in KEYS.items() if name.startswith("AWS_")}
        region = names.pop("aws_default_region")
        boto3.client("s3", endpoint_url=server.url, region_name=region, **names).create_bucket(Bucket=BUCKET)
        yield server


# ---------------------------------------------------------------- MLflow


@contextmanager
def tracking(store: str, files: Path | str, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """MLflow's tracking server.

    Args:
        store: address of the database.
        files: where it keeps files: a folder, or ``s3://…``.
        environment: variables, such as those of S3.
    """
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", "{port}", "--workers", "1"),
        *("--backend-store-uri", store, "--artifacts-destination", str(files)),
    ]  # fmt: skip
    quiet: dict[str, Any] = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with _running(Server(command, _answers_http("/health"), quiet | dict(environment or {}))) as server:
        yield server
