"""Masks of new photographs: files and folders, resumed, the same as evaluating and serving make them."""

import csv

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from typer.testing import CliRunner

from tests.conftest import real_content
from wsgcn import predict
from wsgcn.cli import app
from wsgcn.errors import DataError, StageError, UsageError
from wsgcn.nets.deeplab import build_deeplab, load_deeplab, predict_probs
from wsgcn.nets.prediction import labels_of
from wsgcn.predict import Photo, find_photos, model_of, predict_photographs
from wsgcn.store.checkpoints import save_checkpoint
from wsgcn.store.label_maps import load_label_map
from wsgcn.store.paths import Artifacts
from wsgcn.store.photos import load_photo

NAMES = ("background", "cat", "dog: wild")
NETWORK = {"backbone": "resnet-small", "output_stride": 8, "classes": 3, "dilations": [1, 2]}
CRF = {
    "iterations": 2,
    "gaussian_sxy": 1,
    "gaussian_compat": 3,
    "bilateral_sxy": 20,
    "bilateral_srgb": 5,
    "bilateral_compat": 4,
}
SETTINGS = {"scales": [0.5, 1.0], "flip": True, "merge": "mean", "crf": CRF}


def save_network(path):
    torch.manual_seed(3)
    save_checkpoint(path, "segtrain", NETWORK, build_deeplab(NETWORK, None))
    return path


@pytest.fixture
def model(tmp_path):
    predict._load.cache_clear()
    return model_of(save_network(tmp_path / "network.pt"), NAMES, SETTINGS, crf=True)


@pytest.fixture
def photographs(tmp_path):
    """Three photographs, one of them in a folder below."""
    random = np.random.default_rng(0)
    for name in ("a b.JPG", "ä.png", "deep/c.webp"):
        path = tmp_path / "photographs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (24, 32, 3), dtype=np.uint8)).save(path)
    return tmp_path / "photographs"


def label(model, given, folder, probabilities=False, workers=1):
    return predict_photographs(model, given, folder, "cpu", workers, probabilities)


def test_every_photograph_gets_labels_and_a_picture(model, photographs, tmp_path):
    out = tmp_path / "out"
    assert label(model, [photographs], out, probabilities=True) == 3
    ids = ["a b", "deep__c", "ä"]
    for folder, suffix in (("labels", ".png"), ("overlays", ".png"), ("probabilities", ".npz")):
        assert sorted(path.name for path in (out / folder).iterdir()) == [f"{one}{suffix}" for one in ids]
    network = load_deeplab(model.checkpoint, torch.device("cpu"))
    rgb_u8 = load_photo(photographs / "a b.JPG")
    probs = predict_probs(network, rgb_u8, (0.5, 1.0), True, "mean")
    found = load_label_map(out / "labels" / "a b.png")
    assert (found == labels_of(probs, rgb_u8, model.crf)).all()
    with np.load(out / "probabilities" / "a b.npz", allow_pickle=False) as content:
        assert np.allclose(content["probs"], probs, atol=1e-3)
        assert tuple(content["class_names"]) == NAMES
    with (out / "classes.csv").open(newline="") as file:
        assert [*csv.reader(file)] == [["id", "name"], ["0", "background"], ["1", "cat"], ["2", "dog: wild"]]
    with Image.open(out / "overlays" / "a b.png") as picture:
        assert picture.size > (2 * 32, 24)


def test_without_the_crf_it_is_the_likeliest_class(model, photographs, tmp_path):
    plain = model_of(model.checkpoint, NAMES, SETTINGS, crf=False)
    label(plain, [photographs / "ä.png"], tmp_path / "out")
    rgb_u8 = load_photo(photographs / "ä.png")
    probs = predict_probs(load_deeplab(model.checkpoint, torch.device("cpu")), rgb_u8, (0.5, 1.0), True, "mean")
    assert (load_label_map(tmp_path / "out/labels/ä.png") == probs.argmax(axis=0)).all()


def test_processes_label_as_one_does(model, photographs, tmp_path):
    for workers in (1, 2):
        label(model, [photographs], tmp_path / str(workers), workers=workers)
    for path in (tmp_path / "1").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "2" / path.relative_to(tmp_path / "1")).read_bytes()


def test_only_what_is_missing_or_changed_is_labelled_again(model, photographs, tmp_path, monkeypatch):
    labelled = []
    monkeypatch.setattr(
        predict,
        "predict_probs",
        lambda network, rgb_u8, *more: labelled.append(1) or predict_probs(network, rgb_u8, *more),
    )
    out = tmp_path / "out"
    label(model, [photographs], out)
    label(model, [photographs], out)
    assert len(labelled) == 3
    (out / "overlays" / "ä.png").unlink()
    label(model, [photographs], out)
    assert len(labelled) == 4
    Image.new("RGB", (32, 24), "red").save(photographs / "ä.png")
    label(model, [photographs], out)
    assert len(labelled) == 5
    label(model_of(model.checkpoint, NAMES, SETTINGS, crf=False), [photographs], out)
    assert len(labelled) == 8


def test_what_else_lies_in_the_folder_stays(model, photographs, tmp_path):
    other = tmp_path / "out" / "labels" / "mine.png"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"mine")
    label(model, [photographs / "ä.png"], tmp_path / "out")
    assert other.read_bytes() == b"mine"


def test_a_broken_photograph_is_named_and_the_others_are_labelled(model, photographs, tmp_path):
    (photographs / "broken.jpg").write_bytes(b"no photograph")
    with pytest.raises(StageError, match=r"1 of 4 .*broken.jpg is no picture"):
        label(model, [photographs], tmp_path / "out")
    assert len([*(tmp_path / "out" / "labels").iterdir()]) == 3


def test_a_network_of_other_classes_is_refused_before_any_work(model, photographs, tmp_path):
    other = model_of(model.checkpoint, NAMES[:2], SETTINGS, crf=True)
    with pytest.raises(DataError, match="knows 3 classes, but there are 2 names"):
        label(other, [photographs], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_names_of_results(photographs, tmp_path):
    out = tmp_path / "out"
    found = find_photos([photographs / "ä.png", photographs, photographs / "deep"], out)
    assert [one.id for one in found] == ["ä", "a b", "deep__c", "c"]
    assert found[0] == Photo("ä", photographs / "ä.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "ä.png")
    with pytest.raises(UsageError, match="would have results of one name: rename one of them"):
        find_photos([photographs / "ä.png", tmp_path / "ä.png"], out)


def test_results_in_the_folder_of_the_photographs_are_no_photographs(model, photographs):
    for _ in range(2):
        assert label(model, [photographs], photographs / "masks") == 3


def test_probabilities_are_those_of_the_network_that_made_the_labels(model, photographs, tmp_path):
    out = tmp_path / "out"
    other = model_of(model.checkpoint, NAMES, SETTINGS | {"scales": [1.0]}, crf=True)
    label(model, [photographs / "ä.png"], out, probabilities=True)
    first = (out / "probabilities" / "ä.npz").read_bytes()
    label(other, [photographs / "ä.png"], out)
    label(other, [photographs / "ä.png"], out, probabilities=True)
    assert (out / "probabilities" / "ä.npz").read_bytes() != first


@pytest.mark.parametrize("name", ["labels/ä.png", "overlays/ä.png"])
def test_a_file_that_somebody_else_made_is_not_overwritten(model, photographs, tmp_path, name):
    path = tmp_path / "out" / name
    path.parent.mkdir(parents=True)
    Image.new("L", (32, 24)).save(path)
    before = path.read_bytes()
    with pytest.raises(StageError, match=r"ä.png was not made by `wsgcn predict`"):
        label(model, [photographs / "ä.png"], tmp_path / "out")
    assert path.read_bytes() == before


def test_another_list_of_classes_is_not_overwritten(model, photographs, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "classes.csv").write_text("id,name\n0,mine\n")
    with pytest.raises(UsageError, match=r"classes\.csv lists other classes"):
        label(model, [photographs / "ä.png"], tmp_path / "out")
    assert (tmp_path / "out" / "classes.csv").read_text() == "id,name\n0,mine\n"


def test_settings_of_another_version_are_one_line(model):
    for wrong in ({"scales": ["x"]}, {"crf": {"iterations": 1}}, {"crf": None}):
        with pytest.raises(DataError, match="settings of another version") as caught:
            model_of(model.checkpoint, NAMES, SETTINGS | wrong, crf=True)
        assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- the command


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of three classes."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    content = real_content()
    content["dataset"]["classes"] = list(NAMES)
    (folder / "params.yaml").write_text(yaml.safe_dump(content))
    predict._load.cache_clear()
    return folder


def run(*words):
    return CliRunner().invoke(app, ["predict", *map(str, words)])


def test_the_only_network_needs_no_name(project, photographs):
    done = run(photographs, "--out", "masks")
    assert isinstance(done.exception, UsageError)
    assert str(done.exception) == "there is no network yet: give --method NAME, after `dvc repro segtrain@NAME`"
    save_network(Artifacts().checkpoint("segtrain", "PSA"))
    done = run(photographs, "--out", "masks")
    assert done.exit_code == 0, done.output
    assert "3 photographs are labelled: class ids in masks/labels" in done.output
    save_network(Artifacts().checkpoint("segtrain", "IRNet"))
    assert "there are networks of IRNet, PSA: give --method NAME" in str(run(photographs, "--out", "masks").exception)
    assert run(photographs, "--out", "others", "--method", "IRNet").exit_code == 0
    assert (
        run(photographs / "ä.png", "--out", "one", "--model", Artifacts().checkpoint("segtrain", "PSA")).exit_code == 0
    )
    assert (project / "one/labels/ä.png").read_bytes() == (project / "masks/labels/ä.png").read_bytes()


def test_the_folder_of_ground_truth_is_refused(project, photographs):
    content = yaml.safe_load((project / "params.yaml").read_text())
    content["evaluate"]["masks"] = "masks"
    (project / "params.yaml").write_text(yaml.safe_dump(content))
    assert "is the folder of ground truth" in str(run(photographs, "--out", "masks").exception)


def test_two_networks_and_none_are_refused(project, photographs, monkeypatch, tmp_path):
    done = run(photographs, "--out", "masks", "--method", "PSA", "--model", "x.pt")
    assert "two networks" in str(done.exception)
    assert "x.pt is missing" in str(run(photographs, "--out", "masks", "--model", "x.pt").exception)
    monkeypatch.chdir(tmp_path)
    assert "there is no params.yaml here" in str(run(photographs, "--out", "masks", "--model", "x.pt").exception)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert "in no known store" in str(run(photographs, "--out", "masks", "--model", "runs:/1/model").exception)
