"""Where a project is when DVC runs a stage in a copy of it."""

from pathlib import Path

import pytest

from wsgcn.store.paths import borrow_files, in_project, original


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A project in a sub-folder of a repository, as DVC copies it for an experiment."""
    here = tmp_path / "repo" / ".dvc" / "tmp" / "exps" / "tmp1" / "pets"
    here.mkdir(parents=True)
    (here.parent / ".dvc").mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "repo"))
    return here


def test_the_original_of_a_copy_is_the_same_folder_of_the_repository(copy, tmp_path):
    assert original() == tmp_path / "repo" / "pets"
    assert in_project(".wsgcn") == tmp_path / "repo" / "pets" / ".wsgcn"
    assert in_project("/data/store") == Path("/data/store")


def test_a_repository_that_runs_another_project_is_not_its_original(tmp_path, monkeypatch):
    (tmp_path / "outer" / "pets").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "outer" / "pets")
    for root in (tmp_path / "outer", tmp_path / "elsewhere"):
        monkeypatch.setenv("DVC_ROOT", str(root))
        assert original() is None
        assert in_project("mlflow.db") == Path("mlflow.db")
    monkeypatch.delenv("DVC_ROOT")
    assert original() is None


def test_a_copy_borrows_what_git_ignores(copy, tmp_path):
    project = tmp_path / "repo" / "pets"
    (project / "data" / "photographs").mkdir(parents=True)
    (project / "weights").mkdir()
    (project / "weights" / "m.pth").write_text("weights")
    (copy / "masks").mkdir()
    borrow_files(["data/photographs", "weights/m.pth", "masks", "missing", str(tmp_path)])
    assert (copy / "data" / "photographs").resolve() == project / "data" / "photographs"
    assert (copy / "weights" / "m.pth").read_text() == "weights"
    assert not (copy / "masks").is_symlink()
    assert not (copy / "missing").is_symlink()


def test_a_project_borrows_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    borrow_files(["data"])
    assert list(tmp_path.iterdir()) == []
