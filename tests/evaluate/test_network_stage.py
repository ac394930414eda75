"""Stage ``evaluate``: the validation photographs are segmented, scored and drawn; errors have a line each."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.conftest import changed
from tests.evaluate.project import fake_predict, read_mask
from wsgcn.errors import DataError, StageError
from wsgcn.evaluate import network
from wsgcn.evaluate.confusion import confusion, label_quality
from wsgcn.evaluate.network import FOLDERS
from wsgcn.store.files import read_json, read_table
from wsgcn.store.fingerprints import read_fingerprint
from wsgcn.store.label_maps import load_label_map, save_label_map

STAGE = "evaluate"


@pytest.fixture
def folder(artifacts):
    return artifacts.folder(STAGE, "WSGCN-I")


def test_scores_are_those_of_the_label_maps(score_network, artifacts, folder, tiny_index):
    scores = score_network()
    assert read_json(artifacts.scores(STAGE, "WSGCN-I")) == scores
    for miou, where in (("seg_miou", "val"), ("seg_miou_crf", "val_crf")):
        counts = sum(
            confusion(read_mask(tiny_index, image), load_label_map(folder / where / f"{image.id}.png"), 3)
            for image in tiny_index.split("val")
        )
        assert scores[miou] == label_quality(counts, [0, 1, 2]).miou
    assert 0.5 < scores["seg_miou"] < 1
    assert scores["seg_miou_crf"] != scores["seg_miou"]
    assert (scores["val_images"], scores["dataset"], scores["method"]) == (3, "tiny", "WSGCN-I")
    assert (scores["variant"], scores["propagation"]) == ("I", "gcn")
    assert scores["classes"] == ["background", "disc", "cross"]
    assert not any(name.startswith(("cam_", "pseudo_", "partial", "images")) for name in scores)
    assert json.dumps(scores, allow_nan=False)


def test_dvc_compares_every_miou(score_network, artifacts):
    scores = score_network()
    expected = {name: scores[name] for name in ("seg_miou", "seg_miou_crf")}
    assert read_json(artifacts.metrics(STAGE, "WSGCN-I")) == expected


def test_files(score_network, folder, tiny_index, warnings):
    scores = score_network()
    names = [
        "confusion.csv",
        "confusion.npz",
        "metrics.json",
        "panels",
        "per_class.csv",
        "scores.json",
        "val",
        "val_crf",
    ]
    assert sorted(path.name for path in folder.iterdir()) == names
    with np.load(folder / "confusion.npz", allow_pickle=False) as arrays:
        assert sorted(arrays) == ["seg", "seg_crf"]
    assert sorted(path.name for path in (folder / "panels").iterdir()) == ["v0.png", "v2.png"]
    for image in tiny_index.split("val"):
        assert load_label_map(folder / "val" / f"{image.id}.png").shape == (image.height, image.width)
    rows = read_table(folder / "per_class.csv")
    assert (folder / "per_class.csv").read_text().startswith("class,step,iou\n")
    assert [(row["class"], row["step"]) for row in rows[:3]] == [
        ("background", "seg"),
        ("background", "seg_crf"),
        ("disc", "seg"),
    ]
    assert float(rows[1]["iou"]) == scores["seg_iou_crf"]["background"]
    assert (folder / "confusion.csv").read_text().startswith("actual,predicted,share\n")
    assert len(read_table(folder / "confusion.csv")) == 3 * 4


def test_no_labels_are_needed(score_network, artifacts):
    expected = score_network()
    for stage in ("cams", "propagate", "crf"):
        shutil.rmtree(artifacts.root / stage)
    assert score_network() == expected


def test_it_is_deterministic(score_network, folder):
    first = score_network()
    panel = (folder / "panels" / "v0.png").read_bytes()
    assert score_network() == first
    assert (folder / "panels" / "v0.png").read_bytes() == panel


@pytest.mark.parametrize("folder_exists", [False, True])
def test_without_masks_all_but_scores_is_made(
    score_network, artifacts, folder, tiny_voc, tiny_index, warnings, folder_exists
):
    score_network()
    with Image.open(folder / "panels" / "v0.png") as panel:
        width_with_truth = panel.width
    before = {path.name: path.read_bytes() for path in (folder / "val_crf").iterdir()}
    masks = tiny_voc / "SegmentationClass"
    for image in tiny_index.split("val"):
        (masks / f"{image.id}.png").unlink()
    if not folder_exists:
        shutil.rmtree(masks)
    scores = score_network()
    assert warnings == [
        f"no mask of val in {masks}: nothing is scored; put <id>.png there or set evaluate.masks",
    ]
    assert read_json(artifacts.scores(STAGE, "WSGCN-I")) == scores
    assert read_json(artifacts.metrics(STAGE, "WSGCN-I")) == {}
    assert scores == {
        "method": "WSGCN-I",
        "variant": "I",
        "propagation": "gcn",
        "dataset": "tiny",
        "classes": ["background", "disc", "cross"],
        "val_images": 3,
    }
    assert {path.name: path.read_bytes() for path in (folder / "val_crf").iterdir()} == before
    assert len(list((folder / "val").iterdir())) == 3
    assert (folder / "per_class.csv").read_text() == "class,step,iou\n"
    assert (folder / "confusion.csv").read_text() == "actual,predicted,share\n"
    assert (folder / "confusion.npz").exists()
    with Image.open(folder / "panels" / "v0.png") as panel:
        assert panel.width < width_with_truth


def test_label_maps_are_made_once_and_kept(score_network, folder, tiny_index, monkeypatch):
    predicted = []

    def predict(network, rgb_u8, *settings):
        predicted.append(rgb_u8.shape)
        return fake_predict(network, rgb_u8, *settings)

    monkeypatch.setattr(network, "predict_probs", predict)
    scores = score_network()
    assert len(predicted) == len(tiny_index.split("val"))  # both maps of a photograph are made of one prediction
    shutil.rmtree(folder)  # as DVC does before it runs a stage
    assert score_network() == scores
    assert len(predicted) == len(tiny_index.split("val"))


def test_another_crf_leaves_the_maps_before_it(score_network, tiny_params, folder, tiny_index):
    score_network()
    before = {where: [read_fingerprint(path) for path in sorted((folder / where).iterdir())] for where in FOLDERS}
    crf = tiny_params.evaluate.seg_crf
    score_network(changed(tiny_params, {"evaluate.seg_crf.iterations": crf.iterations + 1}))
    after = {where: [read_fingerprint(path) for path in sorted((folder / where).iterdir())] for where in FOLDERS}
    assert after["val"] == before["val"]
    assert not set(after["val_crf"]) & set(before["val_crf"])


# ---------------------------------------------------------------- what is wrong


def test_bad_masks_are_all_named_and_no_scores_are_left(score_network, artifacts, tiny_voc):
    score_network()
    masks = tiny_voc / "SegmentationClass"
    (masks / "v0.png").unlink()
    Image.new("RGB", (64, 47)).save(masks / "v1.png")
    save_label_map(masks / "v2.png", np.zeros((10, 20), dtype=np.uint8), "")
    with pytest.raises(StageError) as caught:
        score_network()
    assert sorted(caught.value.failures) == ["v0", "v1", "v2"]
    assert "v0.png is missing" in caught.value.failures["v0"]
    assert "no label map" in caught.value.failures["v1"]
    assert "is 20 x 10 pixels, but its photograph is" in caught.value.failures["v2"]
    assert not artifacts.scores(STAGE, "WSGCN-I").exists()
    assert not artifacts.metrics(STAGE, "WSGCN-I").exists()


def test_a_broken_photograph_is_named_once_by_its_cause(score_network, tiny_voc):
    (tiny_voc / "JPEGImages" / "v1.jpg").write_bytes(b"no picture")
    with pytest.raises(StageError) as caught:
        score_network()
    assert list(caught.value.failures) == ["v1"]
    assert "v1.jpg is no whole picture" in caught.value.failures["v1"]


def test_a_photograph_of_another_size_than_indexed(score_network, tiny_voc):
    Image.new("RGB", (30, 20)).save(tiny_voc / "JPEGImages" / "v0.jpg")
    with pytest.raises(StageError, match=r"v0.jpg is 30 x 20 pixels, but the index says .* run `wsgcn dataset`"):
        score_network()


@pytest.mark.parametrize("missing", ["checkpoint", "index"])
def test_a_missing_input_of_the_method_is_one_line(score_network, artifacts, missing):
    path = {"checkpoint": artifacts.checkpoint("segtrain", "WSGCN-I"), "index": artifacts.index}[missing]
    path.unlink()
    with pytest.raises(DataError, match=f"{path.name} is missing"):
        score_network()
