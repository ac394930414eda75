"""Projects in folders of their own, and the programs of this installation run in them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.chain import shrunk
from tests.conftest import ROOT

AUTHOR = ("-c", "user.name=test", "-c", "user.email=test@localhost")
"""Options of git, for a machine on which nobody has told it who works there."""


def copied(folder: Path) -> Path:
    """The repository as it is now, changes included, in a repository of its own."""
    folder.mkdir()
    config = folder / ".gitconfig"
    config.write_text("[safe]\n\tdirectory = *\n")  # the repository may be another user's
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, env=os.environ | {"GIT_CONFIG_GLOBAL": str(config)}, check=True, capture_output=True, text=True,
    )  # fmt: skip
    for name in listed.stdout.splitlines():
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    git(folder, "init", "--quiet")
    return folder


def write_yaml(folder: Path, content: dict[str, Any]) -> None:
    """Put a params.yaml into a project; this process may not know its kinds."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def merged(content: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Parameters with those of an example: what has a kind replaces a section, the rest is added key by key."""
    both = dict(content)
    for key, value in more.items():
        adds = isinstance(value, dict) and isinstance(both.get(key), dict) and "kind" not in value
        both[key] = merged(both[key], value) if adds else value
    return both


# ---------------------------------------------------------------- programs


def environment(package: Path) -> dict[str, str]:
    """Variables with which programs of this installation use the package below a folder, on one core."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "PYTHONPATH": str(package), "OMP_NUM_THREADS": "1"}


def output(command: list[str], folder: Path, env: dict[str, str] | None = None) -> str:
    """What a command prints, which must succeed."""
    done = subprocess.run(command, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def git(folder: Path, *words: str) -> str:
    """What a command of git prints."""
    return output(["git", *AUTHOR, *words], folder)


def wsgcn(package: Path, folder: Path, *words: str) -> str:
    """What a command of a package prints in a folder."""
    return output([sys.executable, "-m", "wsgcn", *words], folder, environment(package))


def dvc(package: Path, folder: Path, *words: str) -> str:
    """What a command of DVC prints in a project that uses a package."""
    return output([sys.executable, "-m", "dvc", *words], folder, environment(package))


def repro(package: Path, folder: Path, *targets: str) -> set[str]:
    """The stages that ``dvc repro`` ran, of all or for some targets."""
    return set(re.findall(r"Running stage '([^']+)'", dvc(package, folder, "repro", *targets)))


def small_demo(folder: Path) -> dict[str, Any]:
    """Make a project of the demo in a git repository of its own, and return its parameters in small, to be written."""
    folder.mkdir()
    git(folder, "init", "--quiet")
    wsgcn(ROOT, folder.parent, "init", folder.name, "--preset", "demo")
    return shrunk(yaml.safe_load((folder / "params.yaml").read_text()))
