"""The stage: right numbers from what is on disk, and one line for each thing that is wrong."""

import json
import math

import numpy as np
import pytest
from PIL import Image

from tests.conftest import changed
from tests.evaluate.project import IRNET, WSGCN_I, read_mask
from wsgcn.errors import DataError, StageError, UsageError
from wsgcn.evaluate.confusion import confusion, scores
from wsgcn.evaluate.stage import run
from wsgcn.ops.resize import upsample_labels
from wsgcn.store.files import read_json, read_table, write_json
from wsgcn.store.label_maps import load_label_map, save_label_map
from wsgcn.store.records import Scores, load_record, save_record

STAGES = ("cam_miou", "pseudo_miou", "pseudo_miou_crf", "seg_miou", "seg_miou_crf")


def test_metrics_are_those_of_the_files(tiny_params, artifacts, tiny_index):
    metrics = run(tiny_params, artifacts, WSGCN_I)
    assert read_json(artifacts.metrics("WSGCN-I")) == metrics
    counts = {"pseudo": 0, "crf": 0}
    for image in tiny_index.split("train"):
        mask = read_mask(tiny_index, image)
        record = load_record(artifacts.arrays("propagate", "WSGCN-I", image.id), Scores)
        labels = upsample_labels(record.class_ids, record.scores, mask.shape)
        counts["pseudo"] += confusion(mask, labels, 3)
        counts["crf"] += confusion(mask, load_label_map(artifacts.label_map("crf", "WSGCN-I", image.id)), 3)
    expected = scores(counts["pseudo"], [0, 1, 2])
    assert metrics["pseudo_miou"] == expected.miou < 1
    assert metrics["pseudo_iou"] == dict(zip(tiny_index.class_names, expected.iou.values()))
    assert metrics["pseudo_miou_crf"] == scores(counts["crf"], [0, 1, 2]).miou == 1
    assert 0.5 < metrics["cam_miou"] < 1
    assert 0.5 < metrics["seg_miou"] < 1
    assert metrics["seg_miou_crf"] != metrics["seg_miou"]
    assert metrics["seconds_per_image"] == {"propagate": 0.25, "crf": 0.05}
    assert (metrics["images"], metrics["val_images"], metrics["dataset"]) == (6, 3, "tiny")
    assert metrics["classes"] == ["background", "disc", "cross"]
    assert metrics["partial"]["foreground_precision"] > 0.8
    assert 0 < metrics["partial"]["share"]["disc"] < 0.2


def test_cam_labels_follow_the_background_constant(tiny_params, artifacts):
    params = changed(tiny_params, {"evaluate.cam_background": 1.0})
    metrics = run(params, artifacts, WSGCN_I)
    assert metrics["cam_iou"]["disc"] == 0  # nothing exceeds 1, and of equal scores background wins
    assert metrics["pseudo_iou"]["disc"] > 0.5


def test_files(tiny_params, artifacts, tiny_index):
    run(tiny_params, artifacts, WSGCN_I)
    folder = artifacts.folder("evaluate", "WSGCN-I")
    rows = read_table(folder / "per_class.csv")
    assert [row["class"] for row in rows] == list(tiny_index.class_names)
    assert float(rows[1]["pseudo_iou_crf"]) == 1
    with np.load(folder / "confusion.npz", allow_pickle=False) as arrays:
        assert sorted(arrays) == ["cam", "partial", "pseudo", "pseudo_crf", "seg", "seg_crf"]
        assert arrays["cam"].shape == (3, 4)
    assert sorted(path.name for path in (folder / "panels").glob("*.png")) == ["t0.png", "t5.png"]
    assert sorted(path.name for path in (folder / "panels" / "val").glob("*.png")) == ["v0.png", "v2.png"]
    for image in tiny_index.split("val"):
        assert load_label_map(folder / "val" / f"{image.id}.png").shape == (image.height, image.width)


def test_a_walk_has_no_partial_labels(tiny_params, artifacts):
    metrics = run(tiny_params, artifacts, IRNET)
    assert "partial" not in metrics
    with np.load(artifacts.folder("evaluate", "IRNet") / "confusion.npz") as arrays:
        assert "partial" not in arrays
    run(tiny_params, artifacts, WSGCN_I)
    widths = []
    for name in ("IRNet", "WSGCN-I"):
        with Image.open(artifacts.folder("evaluate", name) / "panels" / "t0.png") as panel:
            widths.append(panel.width)
    assert widths[0] < widths[1]


def test_it_is_deterministic(tiny_params, artifacts):
    first = run(tiny_params, artifacts, WSGCN_I)
    panel = (artifacts.folder("evaluate", "WSGCN-I") / "panels" / "t0.png").read_bytes()
    assert run(tiny_params, artifacts, WSGCN_I) == first
    assert (artifacts.folder("evaluate", "WSGCN-I") / "panels" / "t0.png").read_bytes() == panel


def test_unlabelled_pixels_are_misses_and_lower_the_coverage(tiny_params, artifacts, tiny_index):
    before = run(tiny_params, artifacts, WSGCN_I)
    for image in tiny_index.split("train"):
        path = artifacts.label_map("crf", "WSGCN-I", image.id)
        labels = load_label_map(path)
        labels[: len(labels) // 2] = 255
        save_label_map(path, labels, "")
    after = run(tiny_params, artifacts, WSGCN_I)
    assert before["pseudo_coverage_crf"] == 1
    assert 0.4 < after["pseudo_coverage_crf"] < 0.6
    assert after["pseudo_miou_crf"] < 0.7
    assert after["pseudo_miou"] == before["pseudo_miou"]


def test_an_absent_class_is_null_and_never_nan(tiny_params, artifacts, tiny_index):
    for image in tiny_index.images:
        path = artifacts.root.parent / "VOC2012" / "SegmentationClass" / f"{image.id}.png"
        mask = load_label_map(path)
        mask[mask == 2] = 255
        save_label_map(path, mask, "")
        if "train" in image.splits:
            path = artifacts.label_map("crf", "WSGCN-I", image.id)
            labels = load_label_map(path)
            labels[labels == 2] = 1
            save_label_map(path, labels, "")
    metrics = run(tiny_params, artifacts, WSGCN_I)
    assert metrics["pseudo_iou_crf"]["cross"] is None
    assert metrics["pseudo_miou_crf"] == 1
    assert "NaN" not in artifacts.metrics("WSGCN-I").read_text()
    assert all(math.isfinite(metrics[name]) for name in STAGES)


def test_only_listed_classes_are_scored(tiny_params, artifacts):
    metrics = run(changed(tiny_params, {"evaluate.classes": ("background", "cross")}), artifacts, WSGCN_I)
    assert list(metrics["pseudo_iou"]) == ["background", "cross"] == metrics["classes"]


def test_an_unknown_class_is_wrong_use(tiny_params, artifacts):
    with pytest.raises(UsageError, match=r"evaluate.classes holds unicorn: the dataset has background, disc, cross"):
        run(changed(tiny_params, {"evaluate.classes": ("unicorn",)}), artifacts, WSGCN_I)


def test_bad_masks_are_all_named_and_no_metrics_are_left(tiny_params, artifacts, tiny_voc):
    run(tiny_params, artifacts, WSGCN_I)
    masks = tiny_voc / "SegmentationClass"
    (masks / "t1.png").unlink()
    save_label_map(masks / "t2.png", np.zeros((10, 20), dtype=np.uint8), "")
    save_label_map(masks / "t3.png", np.full((48, 63), 9, dtype=np.uint8), "")
    Image.new("RGB", (64, 47)).save(masks / "v1.png")
    with pytest.raises(StageError) as caught:
        run(tiny_params, artifacts, WSGCN_I)
    assert sorted(caught.value.failures) == ["t1", "t2", "t3", "v1"]
    assert "t1.png is missing" in caught.value.failures["t1"]
    assert "t2.png is 20 x 10 pixels, but its photograph is 64 x 46" in caught.value.failures["t2"]
    assert "holds class id 9, but the dataset has classes 0 to 2" in caught.value.failures["t3"]
    assert "not a label map" in caught.value.failures["v1"]
    assert "\n" not in str(caught.value)
    assert not artifacts.metrics("WSGCN-I").exists()


def test_a_broken_photograph_is_named_once_by_its_cause(tiny_params, artifacts, tiny_voc):
    (tiny_voc / "JPEGImages" / "v1.jpg").write_bytes(b"no picture")
    with pytest.raises(StageError) as caught:
        run(tiny_params, artifacts, WSGCN_I)
    assert list(caught.value.failures) == ["v1"]
    assert "v1.jpg is no whole picture" in caught.value.failures["v1"]


def test_a_photograph_of_another_size_than_indexed(tiny_params, artifacts, tiny_voc):
    Image.new("RGB", (30, 20)).save(tiny_voc / "JPEGImages" / "v0.jpg")
    with pytest.raises(StageError, match=r"v0.jpg is 30 x 20 pixels, but the index says .* run `wsgcn dataset`"):
        run(tiny_params, artifacts, WSGCN_I)


def test_an_impossible_class_in_scores_is_named(tiny_params, artifacts):
    path = artifacts.arrays("propagate", "WSGCN-I", "t0")
    record = load_record(path, Scores)
    save_record(path, Scores(np.array([0, 8]), record.scores, record.partial_labels, record.losses), "")
    with pytest.raises(StageError, match=r"t0.npz holds class id 8"):
        run(tiny_params, artifacts, WSGCN_I)


@pytest.mark.parametrize("stage", ["cams", "propagate", "crf"])
def test_a_missing_label_file_is_named(tiny_params, artifacts, stage):
    name = "I" if stage == "cams" else "WSGCN-I"
    next(path for path in artifacts.folder(stage, name).iterdir() if path.stem == "t4").unlink()
    with pytest.raises(StageError, match="t4"):
        run(tiny_params, artifacts, WSGCN_I)


@pytest.mark.parametrize("missing", ["checkpoint", "summary", "index"])
def test_a_missing_input_of_the_method_is_one_line(tiny_params, artifacts, missing):
    path = {
        "checkpoint": artifacts.checkpoint("segtrain", "WSGCN-I"),
        "summary": artifacts.summary("crf", "WSGCN-I"),
        "index": artifacts.index,
    }[missing]
    path.unlink()
    with pytest.raises(DataError, match=f"{path.name} is missing"):
        run(tiny_params, artifacts, WSGCN_I)


@pytest.mark.parametrize("content", [{}, [1], {"seconds_per_image": None}])
def test_a_summary_without_its_number_is_one_line(tiny_params, artifacts, content):
    write_json(artifacts.summary("crf", "WSGCN-I"), content)
    with pytest.raises(DataError, match=r"WSGCN-I.summary.json is no summary"):
        run(tiny_params, artifacts, WSGCN_I)


def test_metrics_are_numbers_json_can_hold(tiny_params, artifacts):
    text = json.dumps(run(tiny_params, artifacts, WSGCN_I), allow_nan=False)
    assert "pseudo_miou_crf" in text
