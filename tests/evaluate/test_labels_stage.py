"""Stage ``evaluate-labels``: right numbers and tables from what is on disk."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.conftest import changed
from tests.evaluate.project import read_mask
from wsgcn.evaluate.confusion import class_counts, confusion, label_quality
from wsgcn.evaluate.labels import cam_labels
from wsgcn.evaluate.sweep import THRESHOLDS
from wsgcn.ops.resize import upsample_labels
from wsgcn.ops.scores import with_constant
from wsgcn.store.counts import load_counts
from wsgcn.store.files import read_json, read_table
from wsgcn.store.label_maps import load_label_map, save_label_map
from wsgcn.store.records import Cams, Scores, load_record, save_record

STAGE = "evaluate-labels"
MIOUS = ("cam_miou", "pseudo_miou", "pseudo_miou_crf")


@pytest.fixture
def folder(artifacts):
    return artifacts.folder(STAGE, "WSGCN-I")


def test_scores_are_those_of_the_files(score_labels, artifacts, tiny_index):
    scores = score_labels()
    assert read_json(artifacts.scores(STAGE, "WSGCN-I")) == scores
    counts = {"pseudo": 0, "crf": 0}
    for image in tiny_index.split("train"):
        mask = read_mask(tiny_index, image)
        record = load_record(artifacts.arrays("propagate", "WSGCN-I", image.id), Scores)
        labels = upsample_labels(record.class_ids, record.scores, mask.shape)
        counts["pseudo"] += confusion(mask, labels, 3)
        counts["crf"] += confusion(mask, load_label_map(artifacts.label_map("crf", "WSGCN-I", image.id)), 3)
    expected = label_quality(counts["pseudo"], [0, 1, 2])
    assert scores["pseudo_miou"] == expected.miou < 1
    assert scores["pseudo_iou"] == dict(zip(tiny_index.class_names, expected.iou.values()))
    assert scores["pseudo_miou_crf"] == label_quality(counts["crf"], [0, 1, 2]).miou == 1
    assert 0.5 < scores["cam_miou"] < 1
    assert scores["seconds_per_image"] == {"propagate": 0.25, "crf": 0.05}
    assert (scores["images"], scores["dataset"]) == (6, "tiny")
    assert (scores["method"], scores["variant"], scores["propagation"]) == ("WSGCN-I", "I", "gcn")
    assert scores["classes"] == ["background", "disc", "cross"]
    assert scores["partial"]["foreground_precision"] > 0.8
    assert 0 < scores["partial"]["share"]["disc"] < 0.2
    assert not any(name.startswith("seg_") for name in scores)


def test_scores_whose_logarithms_count_are_enlarged_so(score_labels, artifacts, tiny_index):
    before, counts = score_labels()["pseudo_miou"], 0
    for image in tiny_index.split("train"):
        mask, path = read_mask(tiny_index, image), artifacts.arrays("propagate", "WSGCN-I", image.id)
        record = replace(load_record(path, Scores), logarithmic=np.array(1, np.uint8))
        save_record(path, record, "")
        counts += confusion(mask, upsample_labels(record.class_ids, record.scores, mask.shape, True), 3)
    assert score_labels()["pseudo_miou"] == label_quality(counts, [0, 1, 2]).miou != before


def test_dvc_compares_every_miou(score_labels, artifacts):
    scores = score_labels()
    expected = {name: scores[name] for name in ("cam_miou", "pseudo_miou", "pseudo_miou_crf")}
    assert read_json(artifacts.metrics(STAGE, "WSGCN-I")) == expected


def test_scores_of_whole_cells_are_enlarged_and_cut_off(score_labels, artifacts, tiny_index):
    counts = 0
    for image in tiny_index.split("train"):
        mask, path = read_mask(tiny_index, image), artifacts.arrays("propagate", "WSGCN-I", image.id)
        record = load_record(path, Scores)
        save_record(path, replace(record, stride=np.array(4)), "")
        covered = [4 * side for side in record.scores.shape[1:]]
        labels = upsample_labels(record.class_ids, record.scores, covered)[: mask.shape[0], : mask.shape[1]]
        counts += confusion(mask, labels, 3)
    assert score_labels()["pseudo_miou"] == label_quality(counts, [0, 1, 2]).miou


def test_each_pixel_is_labelled_by_the_finest_cams(score_labels, artifacts, tiny_index):
    for image in tiny_index.split("train"):
        path = artifacts.arrays("cams", "I", image.id)
        record, mask = load_record(path, Cams), read_mask(tiny_index, image)
        exact = np.stack([(mask == one).astype(np.float32) for one in record.class_ids])
        save_record(path, replace(record, high_res=exact), "")
    assert score_labels()["cam_miou"] == 1


def test_cam_labels_follow_the_background_constant(score_labels, tiny_params):
    scores = score_labels(params=changed(tiny_params, {"evaluate.cam_background": 1.0}))
    assert scores["cam_iou"]["disc"] == 0  # nothing exceeds 1, and of equal scores background wins
    assert scores["pseudo_iou"]["disc"] > 0.5


def test_each_cam_source_may_have_a_background_constant_of_its_own(score_labels, tiny_params):
    one = score_labels(params=changed(tiny_params, {"evaluate.cam_background": 0.3}))
    for own, same in (({"irnet": 0.3, "psa": 1.0}, True), ({"irnet": 1.0, "psa": 0.3}, False)):
        scores = score_labels(params=changed(tiny_params, {"evaluate.cam_background": own}))
        assert (scores["cam_iou"] == one["cam_iou"]) is same


def test_files(score_labels, folder, warnings):
    score_labels()
    names = ["confusion.csv", "confusion.npz", "metrics.json", "panels", "per_class.csv"]
    names += ["photographs.npz", "scores.json"]
    assert sorted(path.name for path in folder.iterdir()) == names
    with np.load(folder / "confusion.npz", allow_pickle=False) as arrays:
        assert sorted(arrays) == ["cam", "partial", "pseudo", "pseudo_crf"]
        assert arrays["cam"].shape == (3, 4)
    assert sorted(path.name for path in (folder / "panels").iterdir()) == ["t0.png", "t5.png"]
    assert warnings == []


def test_table_of_classes_has_one_row_for_each_class_and_step(score_labels, folder, tiny_index):
    scores = score_labels()
    rows = read_table(folder / "per_class.csv")
    assert (folder / "per_class.csv").read_text().startswith("class,step,iou\n")
    steps = ("cam", "pseudo", "pseudo_crf")
    assert [(row["class"], row["step"]) for row in rows] == [
        (name, step) for name in tiny_index.class_names for step in steps
    ]
    assert [float(row["iou"]) for row in rows[:2]] == [scores[name]["background"] for name in ("cam_iou", "pseudo_iou")]
    assert float(rows[2]["iou"]) == 1


def test_table_of_confusion_has_the_shares_of_each_class(score_labels, artifacts, folder):
    path = artifacts.label_map("crf", "WSGCN-I", "t0")
    labels = load_label_map(path)
    labels[labels == 1] = 255
    save_label_map(path, labels, "")
    score_labels()
    assert (folder / "confusion.csv").read_text().startswith("actual,predicted,share\n")
    rows = read_table(folder / "confusion.csv")
    names = ["background", "disc", "cross"]
    assert [(row["actual"], row["predicted"]) for row in rows] == [
        (actual, predicted) for actual in names for predicted in (*names, "unlabelled")
    ]
    shares = np.array([float(row["share"]) for row in rows]).reshape(3, 4)
    with np.load(folder / "confusion.npz") as arrays:
        counts = arrays["pseudo_crf"]
    assert shares == pytest.approx(counts / counts.sum(axis=1, keepdims=True))
    assert 0 < shares[1, 3] < 1


def test_a_method_without_partial_labels(score_labels, irnet, artifacts):
    assert "partial" not in score_labels(method=irnet)
    with np.load(artifacts.folder(STAGE, "IRNet") / "confusion.npz") as arrays:
        assert "partial" not in arrays
    score_labels()
    widths = []
    for name in ("IRNet", "WSGCN-I"):
        with Image.open(artifacts.folder(STAGE, name) / "panels" / "t0.png") as panel:
            widths.append(panel.width)
    assert widths[0] < widths[1]


def test_it_is_deterministic(score_labels, folder):
    first = score_labels()
    files = {path.name: path.read_bytes() for path in folder.rglob("*") if path.suffix in (".png", ".csv", ".json")}
    assert score_labels() == first
    assert {name: next(folder.rglob(name)).read_bytes() for name in files} == files


def test_no_panel_is_asked_for(score_labels, tiny_params, folder):
    score_labels(params=changed(tiny_params, {"evaluate.panels": 0}))
    assert list((folder / "panels").iterdir()) == []  # the folder is there: DVC wants every output


def test_unlabelled_pixels_are_misses_and_lower_the_coverage(score_labels, artifacts, tiny_index):
    before = score_labels()
    for image in tiny_index.split("train"):
        path = artifacts.label_map("crf", "WSGCN-I", image.id)
        labels = load_label_map(path)
        labels[: len(labels) // 2] = 255
        save_label_map(path, labels, "")
    after = score_labels()
    assert before["pseudo_coverage_crf"] == 1
    assert 0.4 < after["pseudo_coverage_crf"] < 0.6
    assert after["pseudo_miou_crf"] < 0.7
    assert after["pseudo_miou"] == before["pseudo_miou"]


def test_an_absent_class_is_null_and_never_nan(score_labels, artifacts, folder, tiny_index, tiny_voc):
    for image in tiny_index.split("train"):
        path = tiny_voc / "SegmentationClass" / f"{image.id}.png"
        mask = read_mask(tiny_index, image).copy()
        mask[mask == 2] = 255
        save_label_map(path, mask, "")
        path = artifacts.label_map("crf", "WSGCN-I", image.id)
        labels = load_label_map(path)
        labels[labels == 2] = 1
        save_label_map(path, labels, "")
    scores = score_labels()
    assert scores["pseudo_iou_crf"]["cross"] is None
    assert scores["pseudo_miou_crf"] == 1
    assert "NaN" not in artifacts.scores(STAGE, "WSGCN-I").read_text()
    assert all(math.isfinite(scores[name]) for name in MIOUS)
    rows = read_table(folder / "per_class.csv")
    assert [row["step"] for row in rows if row["class"] == "cross"] == ["cam", "pseudo"]  # found, though not there
    assert {row["actual"] for row in read_table(folder / "confusion.csv")} == {"background", "disc"}


def test_only_listed_classes_are_scored(score_labels, tiny_params):
    scores = score_labels(params=changed(tiny_params, {"evaluate.classes": ("background", "cross")}))
    assert list(scores["pseudo_iou"]) == ["background", "cross"] == scores["classes"]


def test_scores_are_numbers_json_can_hold(score_labels):
    assert "pseudo_miou_crf" in json.dumps(score_labels(), allow_nan=False)


# ---------------------------------------------------------------- photograph by photograph


def test_counts_of_each_photograph_are_those_of_its_labels(score_labels, artifacts, tiny_index):
    score_labels()
    counts = load_counts(artifacts.photographs("WSGCN-I"))
    images = tiny_index.split("train")
    assert counts.ids == tuple(image.id for image in images)
    assert counts.classes == tiny_index.class_names
    assert list(counts.steps) == ["cam", "pseudo", "pseudo_crf", "cam_best"]
    for number, image in enumerate(images):
        mask = read_mask(tiny_index, image)
        record = load_record(artifacts.arrays("propagate", "WSGCN-I", image.id), Scores)
        labels = upsample_labels(record.class_ids, record.scores, mask.shape)
        expected = [((labels == one) & (mask == one), mask == one, (labels == one) & (mask != 255)) for one in range(3)]
        assert counts.steps["pseudo"][number].tolist() == [[int(one.sum()) for one in row] for row in expected]
    with np.load(artifacts.folder(STAGE, "WSGCN-I") / "confusion.npz") as matrices:
        for step in ("cam", "pseudo", "pseudo_crf"):
            assert (counts.steps[step].sum(axis=0) == class_counts(matrices[step], [0, 1, 2])).all()


def test_counts_are_of_the_listed_classes(score_labels, tiny_params, artifacts):
    score_labels(params=changed(tiny_params, {"evaluate.classes": ("background", "cross")}))
    counts = load_counts(artifacts.photographs("WSGCN-I"))
    assert counts.classes == ("background", "cross")
    assert {one.shape for one in counts.steps.values()} == {(6, 2, 3)}


# ---------------------------------------------------------------- the best background


def mious_with(artifacts, index, labels_of):
    """mIoU for each threshold, by labelling every photograph for each."""
    found = []
    for threshold in THRESHOLDS:
        counts = 0
        for image in index.split("train"):
            mask = read_mask(index, image)
            counts += confusion(mask, labels_of(image.id, threshold, mask.shape), 3)
        found.append(label_quality(counts, [0, 1, 2]).miou)
    return found


def test_the_best_background_of_the_cam_is_recorded(score_labels, artifacts, tiny_index):
    scores = score_labels()

    def labels_of(image_id, threshold, size):
        return cam_labels(load_record(artifacts.arrays("cams", "I", image_id), Cams), threshold, size)

    mious = mious_with(artifacts, tiny_index, labels_of)
    assert scores["cam_miou_best"] == max(mious) > min(mious)
    assert scores["cam_best_background"] == THRESHOLDS[int(np.argmax(mious))]
    assert scores["cam_miou_best"] >= scores["cam_miou"]
    best = load_counts(artifacts.photographs("WSGCN-I")).steps["cam_best"]
    other = score_labels()  # deterministic
    assert other == scores
    hits, there, predicted = best.sum(axis=0).T
    assert scores["cam_miou_best"] == pytest.approx(np.mean(hits / (there + predicted - hits)))


def test_a_walk_with_a_constant_background_is_scored_for_others(score_labels, artifacts, tiny_index, irnet):
    scores = score_labels(method=irnet)

    def labels_of(image_id, threshold, size):
        record = load_record(artifacts.arrays("propagate", "IRNet", image_id), Scores)
        return upsample_labels(record.class_ids, with_constant(record.scores[1:], threshold), size)

    mious = mious_with(artifacts, tiny_index, labels_of)
    assert scores["pseudo_miou_best"] == max(mious) > min(mious)
    assert scores["best_background"] == THRESHOLDS[int(np.argmax(mious))]
    assert list(load_counts(artifacts.photographs("IRNet")).steps)[-2:] == ["cam_best", "pseudo_best"]


def test_a_background_that_walks_along_is_scaled(score_labels, artifacts, tiny_index, tiny_params, irnet):
    params = changed(tiny_params, {"propagate.walk-i.background": None, "propagate.walk-i.alpha": 2})
    scores = score_labels(params=params, method=params.method("IRNet"))

    def labels_of(image_id, threshold, size):
        record = load_record(artifacts.arrays("propagate", "IRNet", image_id), Scores)
        scaled = record.scores.copy()
        scaled[0] *= threshold / (1 - threshold)
        return upsample_labels(record.class_ids, scaled, size)

    mious = mious_with(artifacts, tiny_index, labels_of)
    assert scores["pseudo_miou_best"] == pytest.approx(max(mious), abs=1e-3)  # scaling before resizing rounds otherwise
    assert mious[THRESHOLDS.index(0.5)] == scores["pseudo_miou"]
    assert scores["pseudo_miou_best"] >= scores["pseudo_miou"]


def test_scores_of_a_gcn_tell_nothing_of_other_backgrounds(score_labels):
    assert not {"best_background", "pseudo_miou_best"} & score_labels().keys()
