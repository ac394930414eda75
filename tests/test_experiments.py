"""What users of DVC and MLflow expect of experiments and of own photographs, with the real programs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from tests import chain
from tests.conftest import ROOT, real_content
from tests.projects import dvc, git, repro, small_demo, write_yaml, wsgcn
from wsgcn.preset import pipeline_text
from wsgcn.tracking.connection import connect

pytestmark = pytest.mark.slow


def runs(folder: Path, store: str = "mlflow.db") -> dict[str, str]:
    """Places of the files of MLflow's runs, by the run's name."""
    client = connect(f"sqlite:///{folder / store}")
    found = client.search_runs([client.get_experiment_by_name("wsgcn").experiment_id])
    assert len({run.info.run_name for run in found}) == len(found)
    return {run.info.run_name: run.info.artifact_uri for run in found}


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A small demo of the two walks that was run once and committed."""
    folder = tmp_path_factory.mktemp("experiments") / "project"
    content = small_demo(folder)
    content["methods"] = {name: content["methods"][name] for name in ("IRNet", "PSA")}
    write_yaml(folder, content)
    repro(ROOT, folder)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "base")
    return folder


def test_an_experiment_elsewhere_is_recorded_and_nothing_is_computed_twice(project):
    before = runs(project)
    target = "evaluate-labels@IRNet"
    dvc(ROOT, project, "exp", "run", "--temp", "--name", "beta", "--set-param", "propagate.walk-i.beta=5", target)
    after = runs(project)
    assert {*after} - {*before} == {"IRNet (beta)"}  # PSA, which it does not touch, has no run more
    assert all(place.startswith(project.as_uri()) for place in after.values())
    assert not list((project / ".dvc" / "tmp").rglob("mlflow.db"))
    dvc(ROOT, project, "exp", "apply", "beta")
    assert repro(ROOT, project, target) == {"code"}
    git(project, "checkout", ".")
    assert repro(ROOT, project, target) == {"code"}  # DVC has the base's results
    assert runs(project) == after


def test_a_store_that_is_new_gets_everything_from_the_next_repro(project):
    content = yaml.safe_load((project / "params.yaml").read_text())
    content["tracking"]["uri"] = "sqlite:///other.db"
    write_yaml(project, content)
    assert repro(ROOT, project) == {"code", "report"}
    assert {*runs(project, "other.db")} == {"IRNet", "PSA"}
    git(project, "checkout", ".")


@pytest.fixture
def pets(tmp_path) -> Path:
    """A small project of own photographs, which lie outside of it."""
    random = np.random.default_rng(0)
    for number in range(8):
        path = tmp_path / "photographs" / ("cat", "dog")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(path)
    folder = tmp_path / "pets"
    folder.mkdir()
    git(folder, "init", "--quiet")
    wsgcn(ROOT, tmp_path, "init", "pets", "--images", "photographs")
    own = yaml.safe_load((folder / "params.yaml").read_text())
    content = real_content() | {"dataset": own["dataset"]}
    content["evaluate"] |= {name: own["evaluate"][name] for name in ("masks", "classes")}
    write_yaml(folder, chain.shrunk(content))
    assert (folder / "dvc.yaml").read_text() == pipeline_text("voc12-mobile")
    assert repro(ROOT, folder, "cams-train@I") == {"code", "dataset", "cams-train@I"}
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "base")
    return folder


def test_a_photograph_that_nobody_lists_runs_nothing_and_one_that_changed_does(pets):
    photographs = pets.parent / "photographs"
    (photographs / "cat" / "new.png").write_bytes((photographs / "cat" / "0.png").read_bytes())
    assert repro(ROOT, pets, "cams-train@I") == {"code", "dataset"}
    Image.new("RGB", (64, 48), "red").save(photographs / "cat" / "0.png")
    assert repro(ROOT, pets, "cams-train@I") == {"code", "dataset", "cams-train@I"}


def test_links_that_git_ignores_are_there_in_a_copy_of_the_project(pets):
    source = yaml.safe_load((pets / "params.yaml").read_text())["variants"]["I"]["cams"]
    rate = f"cams.{source}.train.lr=0.02"
    shown = dvc(ROOT, pets, "exp", "run", "--temp", "--set-param", rate, "cams-train@I")
    assert "Running stage 'cams-train@I'" in shown


def test_a_missing_folder_is_told_in_our_words(pets):
    (pets.parent / "photographs").rename(pets.parent / "gone")
    with pytest.raises(AssertionError, match=r"data/photographs is no folder: name the one that holds the photographs"):
        dvc(ROOT, pets, "repro", "dataset")
