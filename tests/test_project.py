"""``wsgcn init``: a project folder for each preset, inside or outside of git, without touching what is there."""

from __future__ import annotations

import configparser
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from tests import chain
from wsgcn import project
from wsgcn.dataset.demo import DEVKIT
from wsgcn.errors import UsageError
from wsgcn.nets.build import build_backbone
from wsgcn.params import load_params
from wsgcn.preset import PRESETS, OwnPhotographs, params_text, pipeline_text
from wsgcn.project import Made, init_project
from wsgcn.vocabulary import PRESET_FOLDER

OWN_DATA = [preset for preset in PRESETS if preset != "demo"]
NO_GIT = "is in no git repository, which `dvc exp` needs: after `git init` run `dvc config core.no_scm false`"

each_preset = pytest.mark.parametrize("preset", PRESETS)
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


@pytest.fixture
def quick(monkeypatch):
    """``dvc init`` takes seconds; here its folder is enough."""
    monkeypatch.setattr(project, "_dvc", lambda folder, *words: (folder / ".dvc").mkdir())


# ---------------------------------------------------------------- what is made


MADE = {".dvc/.gitignore", ".dvc/config", ".dvcignore", ".gitignore", "dvc.yaml", "params.yaml"} | {
    f".dvc/plots/{path.name}" for path in (PRESET_FOLDER / "plots").iterdir()
}
"""Files of a project that git takes."""


def taken_by_git(folder: Path) -> set[str]:
    """What git takes of a project that was used."""
    for name in ("artifacts/x.npz", ".wsgcn/x", "data/x.jpg", "mlflow.db", "mlruns/x", "mlartifacts/x", ".dvc/cache/x"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("")
    git(folder, "add", "--all", ".")
    return set(git(folder, "ls-files").split())


def settings(folder: Path) -> dict[str, dict[str, str]]:
    """DVC's settings."""
    parser = configparser.ConfigParser()
    parser.read(folder / ".dvc" / "config")
    return {name: dict(parser[name]) for name in parser.sections()}


@pytest.mark.parametrize(("preset", "place"), [*zip(PRESETS, ("git", "below git", "alone"), strict=True)])
def test_project_is_complete_and_dvc_knows_its_stages(tmp_path, preset, place):
    folder = tmp_path / "repo" / ("deep/down" if place == "below git" else "")
    if place != "alone":
        subprocess.run(["git", "init", "--quiet", tmp_path / "repo"], check=True)
    made = init_project(folder, preset, None, None)
    assert (made.notes == [f"{folder} {NO_GIT}"]) == (place == "alone")
    assert all("\n" not in line for line in made.missing)
    assert (made.missing == []) == (preset == "demo")
    no_git = {"no_scm": "True"} if place == "alone" else {}
    assert settings(folder) == {
        "core": {"analytics": "false", "check_update": "false"} | no_git,
        "cache": {"type": '"hardlink,copy"'},
    }
    listed = {line.split()[0] for line in dvc(folder, "stage", "list", "--all").splitlines()}
    members = chain.entries(folder / "dvc.yaml", folder / "params.yaml")
    assert listed == {"@".join(filter(None, (one.stage, one.name))) for one in members}
    variants, methods = (5, 7) if preset == "voc12-mobile" else (2, 4)  # it has a second and a third round
    assert len(listed) == 2 + 4 * variants + 5 * methods + 1
    package = str(Path(project.__file__).parent)
    assert [name for name, content in contents(folder).items() if package.encode() in content] == []
    assert not any(path.is_symlink() for path in folder.rglob("*"))
    if place != "alone":
        assert taken_by_git(folder) == MADE


@pytest.fixture(scope="module")
def without_git(tmp_path_factory) -> Path:
    """A demo's project that is in no git repository."""
    folder = tmp_path_factory.mktemp("alone")
    init_project(folder, "demo", None, None)
    return folder


def test_git_may_come_later(tmp_path, without_git):
    """What the warning tells is all there is to do."""
    folder = shutil.copytree(without_git, tmp_path / "later")
    git(folder, "init", "--quiet")
    dvc(folder, *NO_GIT.rpartition("`dvc ")[2].strip("`").split())
    assert settings(folder)["core"]["no_scm"] == "false"
    assert "code" in dvc(folder, "stage", "list")
    assert taken_by_git(folder) == MADE


def test_templates_of_the_plots_are_those_that_the_pipeline_names(without_git):
    plots = without_git / ".dvc" / "plots"
    assert all(isinstance(json.loads(path.read_text()), dict) for path in plots.iterdir())
    pipeline = yaml.safe_load((without_git / "dvc.yaml").read_text())["stages"]
    declared = [plot for stage in pipeline.values() for plot in stage.get("do", stage).get("plots", [])]
    named = {settings["template"] for plot in declared for settings in plot.values() if "template" in settings}
    assert named == {path.stem for path in plots.iterdir()}


@each_preset
def test_only_a_demo_makes_its_pictures(tmp_path, preset):
    (tmp_path / "dvc.yaml").write_text(pipeline_text(preset))
    (tmp_path / "params.yaml").write_text(params_text(preset, None, None))
    members = {one.stage: one for one in chain.entries(tmp_path / "dvc.yaml", tmp_path / "params.yaml")}
    params = load_params(tmp_path / "params.yaml")
    assert params.dataset.kind == ("demo" if preset == "demo" else "voc")
    if preset == "demo":
        assert params.evaluate.masks == str(Path(*members["dataset"].outs) / DEVKIT / "SegmentationClass")
    else:
        # The stage looks at the listed photographs itself; DVC would hash the whole folder.
        assert members["dataset"].deps == ("artifacts/code/dataset/dataset.txt",)
        assert params.evaluate.masks == f"{params.dataset.root}/SegmentationClass"


# ---------------------------------------------------------------- what is missing


def test_missing_data_and_weights_are_told(tmp_path, quick):
    made = init_project(tmp_path, "voc12", None, None)
    data, *weights = made.missing
    assert data == (
        "data/VOCdevkit/VOC2012 is missing: put the dataset there, or name it as dataset.root in params.yaml"
    )
    assert [line.split()[0] for line in weights] == [f"weights/resnet-{size}.pt" for size in (101, 38, 50)]
    assert all("is missing: put weights there (`wsgcn weights import`)" in line for line in weights)
    assert made.notes == [f"{tmp_path} {NO_GIT}"]
    assert not (tmp_path / "masks").exists()


def test_nothing_is_missing_where_everything_is_there(tmp_path, devkit, quick):
    git(tmp_path, "init", "--quiet")
    weights = tmp_path / "mobile.pth"
    torch.save(build_backbone("mobilenet-v2", 16, None).state_dict(), weights)
    assert init_project(tmp_path / "made", "voc12-mobile", devkit, weights) == Made()
    assert not (tmp_path / "made" / "masks").exists()


def test_a_dataset_without_masks_gets_a_folder_for_them(tmp_path, devkit, quick):
    shutil.rmtree(devkit / "SegmentationClass")
    notes = init_project(tmp_path / "made", "voc12-mobile", devkit, None).notes
    masks = tmp_path / "made" / "masks"
    assert f"there are no masks, so nothing will be scored: put <id>.png of photographs into {masks}" in notes
    assert load_params(tmp_path / "made" / "params.yaml").evaluate.masks == masks.name
    assert "<id>.png" in (masks / "README.txt").read_text()
    assert {path.name for path in masks.iterdir()} == {"README.txt"}


def test_masks_of_the_user_stay_as_they_are(tmp_path, devkit, quick):
    shutil.rmtree(devkit / "SegmentationClass")
    (tmp_path / "made" / "masks").mkdir(parents=True)
    (tmp_path / "made" / "masks" / "t0.png").write_bytes(b"mine")
    notes = init_project(tmp_path / "made", "voc12-mobile", devkit, None).notes
    assert not any("no masks" in line for line in notes)
    assert contents(tmp_path / "made" / "masks") == {"t0.png": b"mine"}


def test_weights_of_another_network_are_told_before_a_training_starts(tmp_path, devkit, quick):
    torch.save({"features.0.weight": torch.zeros(2)}, tmp_path / "other.pth")
    (tmp_path / "broken.pth").write_bytes(b"no weights")
    for name in ("other.pth", "broken.pth"):
        (line,) = init_project(tmp_path / f"with {name}", "voc12-mobile", devkit, tmp_path / name).missing
        assert name in line
        assert line.endswith("give the right file with --weights, or name it in params.yaml")


# ---------------------------------------------------------------- the user's paths


@each_own_data
@pytest.mark.parametrize("given", [".", "VOCdevkit", "VOCdevkit/VOC2012"])
def test_data_are_found_and_only_their_lines_change(tmp_path, devkit, preset, given):
    text = params_text(preset, tmp_path / "download" / given, None)
    (tmp_path / "params.yaml").write_text(text)
    params = load_params(tmp_path / "params.yaml")
    assert params.dataset.root == str(devkit)
    assert params.evaluate.masks == str(devkit / "SegmentationClass")
    before = params_text(preset, None, None).splitlines()
    differ = [old for old, new in zip(before, text.splitlines(), strict=True) if old != new]
    assert [line.split()[0] for line in differ] == ["root:", "masks:"]
    comments = [line.partition("#")[2] for line in text.splitlines()]
    assert comments == [line.partition("#")[2] for line in before]


def test_relative_data_work_from_the_project(tmp_path, devkit, monkeypatch, quick):
    monkeypatch.chdir(tmp_path)
    init_project(Path("made"), "voc12-mobile", Path("download"), None)
    params = load_params(Path("made/params.yaml"))
    assert (params.dataset.root, params.evaluate.masks) == ("data/VOC2012", "data/VOC2012/SegmentationClass")
    assert Path("made", params.dataset.root).resolve() == devkit


def test_git_takes_no_path_of_this_machine(tmp_path, devkit, quick):
    weights, made = tmp_path / "mobile ü.pth", tmp_path / "made"
    weights.touch()
    git(tmp_path, "init", "--quiet", str(made))
    init_project(made, "voc12-mobile", devkit, weights)
    assert (made / "weights" / weights.name).resolve() == weights
    git(made, "add", "--all")
    for name in git(made, "ls-files", "-z").split("\0")[:-1]:
        assert not (made / name).is_symlink()
        assert str(tmp_path) not in (made / name).read_text()


def test_what_lies_in_the_project_needs_no_link_and_a_place_that_is_taken_stays(tmp_path, devkit, quick):
    made = tmp_path / "made"
    (made / "data").mkdir(parents=True)
    (made / "data" / "VOC2012").write_text("mine")
    (made / "own.pth").touch()
    init_project(made, "voc12-mobile", devkit, made / "own.pth")
    params = load_params(made / "params.yaml")
    assert params.segtrain["deeplab"].weights == "cams"
    assert params.cams["mobile"].train.weights == "own.pth"
    assert params.dataset.root == str(devkit)
    assert (made / "data" / "VOC2012").read_text() == "mine"


def test_weights_go_wherever_the_preset_has_some(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    preset = "voc12-mobile"
    Path("mobile net.pth").write_bytes(b"")
    before = yaml.safe_load(params_text(preset, None, None))
    after = yaml.safe_load(params_text(preset, None, Path("mobile net.pth")))
    trainings = [
        [
            *(one["train"] for one in content["cams"].values() if "weights" in one["train"]),
            *content["segtrain"].values(),
        ]
        for content in (before, after)
    ]
    file = str(tmp_path / "mobile net.pth")
    expected = {None: None, "cams": "cams", "weights/mobilenet_v2-imagenet.pth": file}
    assert {one["weights"] for one in trainings[0]} == {"cams", "weights/mobilenet_v2-imagenet.pth"}
    for old, new in zip(*trainings, strict=True):
        assert new.pop("weights") == expected[old.pop("weights")]
    assert after == before


@pytest.mark.parametrize("name", ["a: b", "a #1", "it's", 'say "so"', "ümlaut", "[list]"])
def test_any_folder_name_survives_yaml(tmp_path, devkit, name):
    odd = devkit.rename(tmp_path / name)
    (tmp_path / "params.yaml").write_text(params_text("voc12-mobile", odd, None))
    assert load_params(tmp_path / "params.yaml").dataset.root == str(odd)


# ---------------------------------------------------------------- own photographs


def own(tmp_path, **changes):
    folder = tmp_path / "my photographs"
    folder.mkdir(exist_ok=True)
    (folder / "a 1.JPG").write_bytes(b"a photograph")
    given = {
        "root": folder,
        "name": "my photographs",
        "classes": ("background", "cat", "dog: wild"),
        "scored": "train",
        "masks": None,
        "table": "image,labels,splits\na 1.JPG,cat,train\n",
        "copies": {},
    }
    return OwnPhotographs(**given | changes)


@each_own_data
def test_own_photographs_change_two_sections_and_the_rest_is_the_presets(tmp_path, preset):
    text = params_text(preset, own(tmp_path), None)
    (tmp_path / "params.yaml").write_text(text)
    params = load_params(tmp_path / "params.yaml")
    assert params.dataset.kind == "tagged"
    assert params.dataset.classes == params.evaluate.classes == ("background", "cat", "dog: wild")
    assert (params.dataset.root, params.evaluate.masks) == (str(tmp_path / "my photographs"), "masks")
    before, after = (yaml.safe_load(one) for one in (params_text(preset, None, None), text))
    for content in (before, after):
        del content["dataset"], content["evaluate"]["classes"], content["evaluate"]["masks"]
        for source in content["cams"].values():
            source["train"].pop("lr", None)
    assert after == before


def test_few_classes_slow_the_classifiers_down(tmp_path):
    names = [f"class {number}" for number in range(41)]
    for preset, trainings in (("voc12-mobile", ["mobile"]), ("voc12", ["irnet", "psa"])):
        rates = {}
        for count in (3, 21, 41):
            photographs = own(tmp_path, classes=tuple(names[:count]))
            cams = yaml.safe_load(params_text(preset, photographs, None))["cams"]
            rates[count] = [cams[name]["train"]["lr"] for name in trainings]
        assert rates[21] == rates[41]
        assert rates[3] == pytest.approx([rate / 10 for rate in rates[21]])


def test_a_project_of_own_photographs_has_their_table(tmp_path, quick):
    masks = tmp_path / "truth"
    masks.mkdir()
    init_project(tmp_path / "made", "voc12-mobile", own(tmp_path, masks=masks, scored="score"), None)
    made = tmp_path / "made"
    assert (made / "photographs.csv").read_text() == own(tmp_path).table
    params = load_params(made / "params.yaml")
    assert (params.dataset.score_split, params.evaluate.masks) == ("score", "data/masks")
    assert (made / params.dataset.root).resolve() == tmp_path / "my photographs"


def test_copies_lie_in_the_project_where_it_was_asked_for(tmp_path, quick):
    photographs = own(tmp_path)
    copies = {"deep/a 1.JPG": photographs.root / "a 1.JPG"}
    init_project(tmp_path / "made", "voc12-mobile", own(tmp_path, root=Path("data/x"), copies=copies), None)
    assert contents(tmp_path / "made" / "data") == {"x/deep/a 1.JPG": b"a photograph"}
    assert str(tmp_path) not in (tmp_path / "made" / "params.yaml").read_text()


def test_a_photograph_of_the_user_is_not_overwritten_by_a_copy(tmp_path, quick):
    there = tmp_path / "made" / "data" / "x" / "a 1.JPG"
    there.parent.mkdir(parents=True)
    copies = {"a 1.JPG": own(tmp_path).root / "a 1.JPG"}
    there.write_bytes(b"another photograph")
    refused(
        "is another photograph than",
        tmp_path / "made",
        "voc12-mobile",
        own(tmp_path, root=Path("data/x"), copies=copies),
    )
    there.write_bytes(b"a photograph")
    init_project(tmp_path / "made", "voc12-mobile", own(tmp_path, root=Path("data/x"), copies=copies), None)
    assert (tmp_path / "made" / "params.yaml").exists()


def test_a_table_of_the_user_is_not_overwritten(tmp_path):
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "photographs.csv").write_text("mine")
    refused("photographs.csv exists", tmp_path / "made", "voc12-mobile", own(tmp_path))
    refused("makes its own photographs", tmp_path / "my photographs", "demo", own(tmp_path))


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
    mine = {
        "notes.txt": b"mine",
        ".gitignore": b"mine\n",
        ".dvcignore": b"mine\n",
        "artifacts/x": b"mine",
        ".dvc/config": b"[core]\n    autostage = true\n",
        ".dvc/plots/losses.json": b"{}",
    }
    for name, content in mine.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
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
    refused("brings its own", tmp_path / "made", "demo", None, tmp_path / "some.pth")
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
