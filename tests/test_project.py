"""``wsgcn init``: a project folder for each preset, inside or outside of git, without touching what is there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests import chain
from wsgcn import project
from wsgcn.errors import UsageError
from wsgcn.params import load_params
from wsgcn.project import init_project, params_text

OWN_DATA = [preset for preset in project.PRESETS if preset != "demo"]

each_preset = pytest.mark.parametrize("preset", project.PRESETS)
each_own_data = pytest.mark.parametrize("preset", OWN_DATA)


def dvc(folder: Path, *words: str) -> str:
    """What a dvc command prints."""
    done = subprocess.run([sys.executable, "-m", "dvc", *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def git(folder: Path, *words: str) -> str:
    """What a git command prints."""
    return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def devkit(tiny_voc) -> Path:
    """The download as it unpacks: ``VOCdevkit/VOC2012`` below some folder."""
    (tiny_voc.parent / "download" / "VOCdevkit").mkdir(parents=True)
    return tiny_voc.rename(tiny_voc.parent / "download" / "VOCdevkit" / "VOC2012")


# ---------------------------------------------------------------- what is made


@each_preset
@pytest.mark.parametrize("place", ["alone", "git", "below git"])
def test_project_is_complete_and_dvc_knows_its_stages(tmp_path, preset, place):
    folder = tmp_path / "repo" / ("deep/down" if place == "below git" else "")
    if place != "alone":
        subprocess.run(["git", "init", "--quiet", tmp_path / "repo"], check=True)
    init_project(folder, preset, None, None)
    assert load_params(folder / "params.yaml").dataset.root
    settings = dvc(folder, "config", "--list")
    for line in ("core.analytics=false", "core.check_update=false", "cache.type=reflink,hardlink,copy"):
        assert line in settings
    assert ("core.no_scm=True" in settings) == (place == "alone")
    listed = {line.split()[0] for line in dvc(folder, "stage", "list", "--all").splitlines()}
    members = chain.entries(folder / "dvc.yaml", folder / "params.yaml")
    assert listed == {"@".join(filter(None, (one.stage, one.name))) for one in members}
    assert len(listed) == 1 + 4 * 2 + 4 * 4 + 1
    assert (folder / "wsgcn").resolve() == Path(project.__file__).parent
    assert all((folder / dep).exists() for one in members for dep in one.deps if dep.startswith("wsgcn/"))


def test_git_sees_the_project_and_neither_data_nor_results(tmp_path):
    git(tmp_path, "init", "--quiet")
    init_project(tmp_path, "demo", None, None)
    for name in ("artifacts/x.npz", "data/x.jpg", "mlflow.db", "mlruns/x", "mlartifacts/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    git(tmp_path, "add", "--all")
    made = {".dvc/.gitignore", ".dvc/config", ".dvcignore", ".gitignore", "dvc.yaml", "params.yaml", "wsgcn"}
    assert set(git(tmp_path, "ls-files").split()) == made


@each_preset
def test_only_a_demo_makes_its_pictures(tmp_path, preset):
    (tmp_path / "dvc.yaml").write_text(project.pipeline_text(preset))
    (tmp_path / "params.yaml").write_text(params_text(preset, None, None))
    members = chain.entries(tmp_path / "dvc.yaml", tmp_path / "params.yaml")
    root = load_params(tmp_path / "params.yaml").dataset.root
    assert (root in members[0].outs) == (preset == "demo")
    assert (f"{root}/JPEGImages" in members[0].deps) == (preset != "demo")


# ---------------------------------------------------------------- the user's paths


@each_own_data
@pytest.mark.parametrize("given", [".", "VOCdevkit", "VOCdevkit/VOC2012"])
def test_data_are_found_and_only_their_line_changes(tmp_path, devkit, preset, given):
    text = params_text(preset, tmp_path / "download" / given, None)
    (tmp_path / "params.yaml").write_text(text)
    assert load_params(tmp_path / "params.yaml").dataset.root == str(devkit)
    before = params_text(preset, None, None).splitlines()
    differ = [old for old, new in zip(before, text.splitlines(), strict=True) if old != new]
    assert [line.split()[0] for line in differ] == ["root:"]
    comments = [line.partition("#")[2] for line in text.splitlines()]
    assert comments == [line.partition("#")[2] for line in before]


def test_relative_data_work_from_the_project(tmp_path, devkit, monkeypatch):
    monkeypatch.chdir(tmp_path)
    init_project(Path("made"), "voc12-mobile", Path("download"), None)
    assert load_params(Path("made/params.yaml")).dataset.root == str(devkit)


def test_weights_go_wherever_the_preset_has_some(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    preset = "voc12-mobile"
    Path("mobile net.pth").write_bytes(b"")
    before = yaml.safe_load(params_text(preset, None, None))
    after = yaml.safe_load(params_text(preset, None, Path("mobile net.pth")))
    for old, new in (
        (before["cams"]["I"], after["cams"]["I"]),
        (before["cams"]["P"], after["cams"]["P"]),
        (before["segtrain"], after["segtrain"]),
    ):
        assert new.pop("weights") == (None if old.pop("weights") is None else str(tmp_path / "mobile net.pth"))
    assert after == before


@pytest.mark.parametrize("name", ["a: b", "a #1", "it's", 'say "so"', "ümlaut", "[list]"])
def test_any_folder_name_survives_yaml(tmp_path, devkit, name):
    odd = devkit.rename(tmp_path / name)
    (tmp_path / "params.yaml").write_text(params_text("voc12-mobile", odd, None))
    assert load_params(tmp_path / "params.yaml").dataset.root == str(odd)


# ---------------------------------------------------------------- refusals


def refused(message, folder, preset="demo", data=None, weights=None):
    before = contents(folder)
    with pytest.raises(UsageError, match=message) as caught:
        init_project(folder, preset, data, weights)
    assert "\n" not in str(caught.value)
    assert contents(folder) == before


@pytest.mark.parametrize("name", ["params.yaml", "dvc.yaml"])
def test_a_project_is_not_overwritten(tmp_path, name):
    (tmp_path / name).write_text("mine")
    refused(f"{name} exists", tmp_path)


def test_files_of_the_user_stay(tmp_path):
    mine = {"notes.txt": b"mine", ".gitignore": b"mine\n", ".dvcignore": b"mine\n", "artifacts/x": b"mine"}
    for name, content in mine.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    init_project(tmp_path, "demo", None, None)
    after = contents(tmp_path)
    assert {name: after[name] for name in mine} == mine


def test_missing_data_are_one_line_with_the_places_looked_at(tmp_path):
    (tmp_path / "made").mkdir()
    refused(r"holds no VOC devkit: none of .*/VOCdevkit/VOC2012/JPEGImages", tmp_path / "made", "voc12", tmp_path)
    refused("holds no VOC devkit", tmp_path / "made", "voc12", tmp_path / "nowhere")


def test_missing_weights_unknown_presets_and_data_for_the_demo_are_refused(tmp_path, devkit):
    (tmp_path / "made").mkdir()
    refused("none.pth is missing", tmp_path / "made", "voc12-mobile", None, tmp_path / "none.pth")
    refused("no preset is called 'voc13': known are demo, voc12", tmp_path / "made", "voc13")
    refused("makes its own", tmp_path / "made", "demo", devkit)
    (tmp_path / "some.pth").touch()
    refused("start from scratch", tmp_path / "made", "demo", None, tmp_path / "some.pth")
    refused("several files: make them", tmp_path / "made", "voc12", None, tmp_path / "some.pth")


def test_failure_of_dvc_is_one_line_and_can_be_tried_again(tmp_path, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(project.sys, "executable", shutil.which("false"))
        with pytest.raises(UsageError, match=r"dvc init .* failed in") as caught:
            init_project(tmp_path, "demo", None, None)
    assert "\n" not in str(caught.value)
    init_project(tmp_path, "demo", None, None)
    assert (tmp_path / "params.yaml").exists()


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError, match=r"file.* cannot become a project .*: choose another folder") as caught:
            init_project(folder, "demo", None, None)
        assert "\n" not in str(caught.value)
    assert (tmp_path / "file").read_text() == "mine"


def test_git_need_not_be_installed(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    init_project(tmp_path, "demo", None, None)
    assert "no_scm = True" in (tmp_path / ".dvc" / "config").read_text()
