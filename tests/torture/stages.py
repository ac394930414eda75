"""Every stage of a small demo as a command, and the project before and after each, to be disturbed in between."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from tests.conftest import ROOT
from tests.projects import environment, small_demo, write_yaml

METHOD = "WSGCN-I"
COMMANDS = {
    "dataset": (),
    **dict.fromkeys(("cams-train", "cams", "affinity-train", "affinity"), ("--variant", "I")),
    **dict.fromkeys(("propagate", "crf", "evaluate-labels", "segtrain", "evaluate"), ("--method", METHOD)),
    "report": (),
}
"""Options by stage, in order."""
SECONDS = re.compile(rb'"seconds_per_image": ([\d.e-]+|\{[^}]*\})')
"""What differs from run to run."""
LIVE = ("propagate", "segtrain")
"""Stages that open MLflow's run with their first points, while they work."""
LOGGING = (*LIVE, "evaluate-labels", "evaluate")
"""Stages that open MLflow's run at all; the last two do when their work is done."""
OPEN = {-signal.SIGKILL: "RUNNING", 2: "FAILED", 128 + signal.SIGINT: "KILLED", 128 + signal.SIGTERM: "KILLED"}
"""Status by exit code of a run that was open when its stage was struck; 2 is that of a killed worker."""
WORKERS = 2
PAGES = ("report.md", "index.html")
"""Files of the report that show seconds in tables."""
GONE_WITHIN = 60.0
"""Seconds in which all processes of a command must have ended."""


def small_project(folder: Path) -> Path:
    """A demo of a few photographs, whose stages take :data:`WORKERS`."""
    content = small_demo(folder)
    content["runtime"]["workers"] = WORKERS
    write_yaml(folder, content)
    return folder


def made(project: Path) -> dict[str, bytes]:
    """Every file of the artifacts by name, without seconds."""
    paths = [path for path in (project / "artifacts").rglob("*") if path.is_file()]
    return {
        str(path.relative_to(project)): SECONDS.sub(b"", path.read_bytes()) for path in paths if path.name not in PAGES
    }


def leftovers(project: Path) -> list[Path]:
    """Files that somebody began and never finished."""
    return [*project.rglob("*.part")]


def tracebacks(text: str) -> bool:
    """Whether a command showed the user Python's own account of an error."""
    return "Traceback" in text


def record(project: Path) -> list[dict[str, Any]]:
    """What MLflow has of each run: all but when it was logged."""
    store = project / "mlflow.db"
    if not store.exists():
        return []
    with closing(sqlite3.connect(store)) as opened:
        if not opened.execute("SELECT 1 FROM sqlite_master WHERE name = 'runs'").fetchone():
            return []  # killed while MLflow made its tables
        runs = opened.execute("SELECT run_uuid, name, status FROM runs WHERE lifecycle_stage = 'active' ORDER BY name")
        return [_of_run(opened, project, *run) for run in runs.fetchall()]


def _of_run(store: sqlite3.Connection, project: Path, number: str, name: str, status: str) -> dict[str, Any]:
    def rows(table: str, columns: str) -> list[Any]:
        return sorted(store.execute(f"SELECT DISTINCT {columns} FROM {table} WHERE run_uuid = ?", [number]))

    points = [point for point in rows("metrics", "key, step, value") if not point[0].startswith("live_")]
    files = sorted(path.name for path in (project / "mlruns").glob(f"*/{number}/artifacts/**/*") if path.is_file())
    return {
        "name": name,
        "status": status,
        "params": rows("params", "key, value"),
        "points": [point for point in points if "seconds" not in point[0]],
        "files": files,
    }


# ---------------------------------------------------------------- commands


def words(stage: str) -> list[str]:
    """The command of a stage."""
    return [sys.executable, "-m", "wsgcn", stage, *COMMANDS[stage]]


@dataclass
class Started:
    """A command that runs in a process group of its own."""

    process: subprocess.Popen[str]

    @classmethod
    def of(cls, command: list[str], project: Path) -> Started:
        """Start it in a project."""
        said = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
        options = {"cwd": project, "env": environment(ROOT), "text": True, "start_new_session": True}
        options["preexec_fn"] = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # ignored in a shell's background
        return cls(subprocess.Popen(command, **said, **options))

    def members(self) -> list[psutil.Process]:
        """Its processes that live."""
        living = []
        for process in psutil.process_iter():
            try:
                if os.getpgid(process.pid) == self.process.pid and process.status() != psutil.STATUS_ZOMBIE:
                    living.append(process)
            except (ProcessLookupError, psutil.NoSuchProcess):
                continue
        return living

    def workers(self) -> list[psutil.Process]:
        """Those that do photographs: children of the fork server."""
        try:
            servers = psutil.Process(self.process.pid).children()
            return [worker for server in servers for worker in server.children()]
        except psutil.NoSuchProcess:
            return []

    def wait_for_worker(self) -> None:
        """Wait until it has a worker, or has ended."""
        while self.process.poll() is None and not self.workers():
            time.sleep(0.01)

    def send(self, number: int, target: str) -> str | None:
        """Send a signal to the ``group``, the ``parent`` or one ``worker``: which it hit, None where it had ended.

        Without a worker the parent gets it.
        """
        if self.process.poll() is not None:
            return None
        workers = self.workers() if target == "worker" else []
        hit = "parent" if target == "worker" and not workers else target
        try:
            if hit == "group":
                os.killpg(self.process.pid, number)
            else:
                os.kill(workers[0].pid if workers else self.process.pid, number)
        except ProcessLookupError:
            return None
        return hit

    def ended(self) -> tuple[int, str]:
        """Exit status and what it said, once none of its processes lives.

        Raises:
            AssertionError: some live on.
        """
        text = self.process.communicate(timeout=600)[0]
        deadline = time.monotonic() + GONE_WITHIN
        while living := self.members():
            if time.monotonic() > deadline:
                os.killpg(self.process.pid, signal.SIGKILL)
                raise AssertionError(f"processes live on: {living}")
            time.sleep(0.05)
        return self.process.returncode, text


def run(stage: str, project: Path) -> tuple[int, str]:
    """Run a stage to its end: exit status and what it said."""
    return Started.of(words(stage), project).ended()


# ---------------------------------------------------------------- before and after


@dataclass
class Snapshots:
    """A project before and after each of its stages, copied back to the same place for each try.

    Attributes:
        project: where commands run.
        kept: folder of the copies.
        seconds: that each stage took.
        said: what each stage said.
    """

    project: Path
    kept: Path
    seconds: dict[str, float] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)

    @classmethod
    def taken(cls, parent: Path) -> Snapshots:
        """Run the pipeline once, undisturbed."""
        self = cls(small_project(parent / "project"), parent / "kept")
        for stage in COMMANDS:
            shutil.copytree(self.project, self.kept / stage)
            start = time.monotonic()
            code, self.said[stage] = run(stage, self.project)
            assert code == 0, self.said[stage]
            self.seconds[stage] = time.monotonic() - start
        shutil.copytree(self.project, self.kept / "end")
        return self

    def restore(self, stage: str) -> None:
        """Put the project back as it was before a stage."""
        shutil.rmtree(self.project)
        shutil.copytree(self.kept / stage, self.project)

    def after(self, stage: str) -> Path:
        """The project as a stage leaves it when nothing disturbs it."""
        following = [*COMMANDS, "end"]
        return self.kept / following[following.index(stage) + 1]

    def check(self, stage: str) -> None:
        """The project is as the stage leaves it undisturbed: files, MLflow's runs, no leftovers."""
        assert made(self.project) == made(self.after(stage))
        for found, wanted in zip(record(self.project), record(self.after(stage)), strict=True):
            for what in wanted:
                assert found[what] == wanted[what], what
        assert leftovers(self.project) == []

    def check_run(self, stage: str, code: int, text: str) -> str:
        """MLflow's run is in the state that a struck stage's end proves: which of four, for the table.

        It is as the stage leaves it where the command says that it is complete, which it does after it has closed the
        run. Else it is ``untouched`` where the stage was struck before it opened the run, ``complete`` with all files
        where it was struck after it had closed it, and between these it has the status of the exit code.

        Args:
            stage: that was struck.
            code: its exit code.
            text: what it said.
        """
        before, found, after = (record(folder) for folder in (self.kept / stage, self.project, self.after(stage)))
        if code == 0 or "is complete after" in text:
            assert found == after, text
            return "complete"
        if found == before:
            if code == 2 and stage == "propagate":  # a photograph that was heard of would have made a run
                unheard = [*(self.project / "artifacts/propagate" / METHOD).glob("*.npz")]
                assert len(unheard) <= WORKERS, text
            return "untouched"
        if found == after:
            assert code != 2, text  # the run is closed after the last photograph, when no worker is needed
            assert made(self.project) == made(self.after(stage))
            return "complete"
        assert stage in (LIVE if code == 2 else LOGGING), text
        assert [run["status"] for run in found] == [OPEN.get(code)], text
        return OPEN[code]

    def resume(self, stage: str) -> None:
        """Run the stage again to its end, without a warning that an undisturbed one does not give."""
        code, text = run(stage, self.project)
        assert code == 0, text
        assert "MLflow store" not in text, text
        self.check(stage)
