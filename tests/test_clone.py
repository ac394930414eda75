"""A project is made of its git repository and DVC's remote: cloned elsewhere and pulled, it has nothing left to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import chain
from tests.conftest import ROOT
from tests.projects import dvc, git, repro, small_demo, write_yaml

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A small demo that was run once, committed and pushed."""
    folder = tmp_path_factory.mktemp("clone") / "project"
    content = small_demo(folder)
    content["runtime"]["workers"] = 2
    write_yaml(folder, content)
    dvc(ROOT, folder, "remote", "add", "--default", "storage", "../storage")
    assert repro(ROOT, folder) == {"code", "dataset", "report", *_members(content)}
    _share(folder)
    return folder


def _params(folder: Path) -> dict[str, Any]:
    return yaml.safe_load((folder / "params.yaml").read_text())


def _members(content: dict[str, Any]) -> set[str]:
    """The stages that run for each variant or method, as DVC calls them."""
    return {
        f"{entry.stage}@{entry.name}"
        for stage in ("variants", "methods")
        for entry in chain.entries()
        if entry.name in content[stage]
    }


def _share(folder: Path) -> None:
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "run")
    dvc(ROOT, folder, "push")


def _assert_a_clone_has_nothing_to_do(folder: Path, clone: Path) -> None:
    git(folder.parent, "clone", "--quiet", str(folder), str(clone))
    dvc(ROOT, clone, "pull")
    assert repro(ROOT, clone) == {"code"}
    assert git(clone, "status", "--porcelain") == ""  # nor has dvc.lock changed
    assert (clone / "artifacts/report/report.md").read_bytes() == (folder / "artifacts/report/report.md").read_bytes()


def test_a_clone_has_nothing_to_do(project):
    _assert_a_clone_has_nothing_to_do(project, project.parent / "clone")


def test_git_knows_no_path_of_this_machine(project):
    files = [project / name for name in git(project, "ls-files").splitlines()]
    assert {"params.yaml", "dvc.yaml", "dvc.lock"} <= {file.name for file in files}
    paths = [str(one).encode() for one in (ROOT, project.parent)]
    assert [file for file in files if any(path in file.read_bytes() for path in paths)] == []


def test_a_clone_without_a_removed_method_has_nothing_to_do(project):
    content = _params(project)
    del content["methods"]["PSA"]
    write_yaml(project, content)
    assert repro(ROOT, project) == {"code", "report"}
    _share(project)
    _assert_a_clone_has_nothing_to_do(project, project.parent / "clone without PSA")
