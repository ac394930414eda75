"""Two processes do the same stage of one project at once: both end well, and leave what one alone leaves."""

from __future__ import annotations

import random
import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests import chain
from tests.conftest import ROOT, real_content
from tests.projects import environment, write_yaml, wsgcn

pytestmark = pytest.mark.slow

METHOD = "WSGCN-I"
COMMANDS = (
    ["dataset"],
    *([stage, "--variant", "I"] for stage in ("cams-train", "cams", "affinity-train", "affinity")),
    *([stage, "--method", METHOD] for stage in ("propagate", "crf", "evaluate-labels", "segtrain", "evaluate")),
    ["report"],
)
SECONDS = re.compile(rb'"seconds_per_image": ([\d.e-]+|\{[^}]*\})')
"""What differs from run to run."""


@pytest.fixture(scope="module")
def projects(tmp_path_factory) -> list[Path]:
    """Two small demos: in one a process works alone, in the other two work at once."""
    parent = tmp_path_factory.mktemp("projects")
    content = chain.shrunk(real_content())
    content["runtime"]["workers"] = 2
    for name in ("alone", "two"):
        wsgcn(ROOT, parent, "init", name, "--preset", "demo")
        write_yaml(parent / name, content)
    return [parent / "alone", parent / "two"]


def made(project: Path) -> dict[str, bytes]:
    """Every file by name, without seconds; the report's two pages show them in tables."""
    paths = [path for path in (project / "artifacts").rglob("*") if path.is_file()]
    return {
        str(path.relative_to(project)): SECONDS.sub(b"", path.read_bytes())
        for path in paths
        if path.name not in ("report.md", "index.html")
    }


def warned(text: str) -> set[str]:
    """The lines that warn."""
    return {line for line in text.splitlines() if "warning:" in line.lower()}


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_two_processes_do_a_stage(projects, words):
    alone, two = projects
    command, env = [sys.executable, "-m", "wsgcn", *words], environment(ROOT)
    said = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
    once = subprocess.run(command, cwd=alone, env=env, text=True, check=True, **said).stdout
    both = []
    for _ in range(2):
        both.append(subprocess.Popen(command, cwd=two, env=env, text=True, **said))
        time.sleep(random.Random(words[0]).uniform(0, 1))
    texts = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], texts
    assert not [text for text in texts if "Traceback" in text], texts
    # so short a training is warned of, by one process too
    assert not {line for text in texts for line in warned(text)} - warned(once), texts
    assert made(two) == made(alone)
    assert [*two.rglob("*.part")] == []


def test_mlflow_has_one_run(projects):
    with closing(sqlite3.connect(projects[1] / "mlflow.db")) as store:
        found = store.execute("SELECT name, status FROM runs WHERE lifecycle_stage = 'active'").fetchall()
    assert found == [(METHOD, "FINISHED")]
