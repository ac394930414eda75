"""Stage ``evaluate-labels`` without a network, and without masks."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from wsgcn.store.files import read_json
from wsgcn.store.label_maps import load_label_map, save_label_map

STAGE = "evaluate-labels"


@pytest.fixture
def folder(artifacts):
    return artifacts.folder(STAGE, "WSGCN-I")


def test_no_network_is_needed(score_labels, artifacts, monkeypatch):
    shutil.rmtree(artifacts.root / "segtrain")
    assert score_labels()["pseudo_miou_crf"] == 1


def test_no_network_is_imported():
    code = (
        "import sys, wsgcn.evaluate.labels_stage; print([one for one in sys.modules if one.startswith('wsgcn.nets')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("folder_exists", [False, True])
def test_without_masks_all_but_scores_is_made(
    score_labels, artifacts, folder, tiny_voc, tiny_index, warnings, folder_exists
):
    score_labels()
    with Image.open(folder / "panels" / "t0.png") as panel:
        width_with_truth = panel.width
    masks = tiny_voc / "SegmentationClass"
    for image in tiny_index.split("train"):  # those of the validation photographs are no masks of these
        (masks / f"{image.id}.png").unlink()
    if not folder_exists:
        shutil.rmtree(masks)
    path = artifacts.label_map("crf", "WSGCN-I", "t0")
    save_label_map(path, np.full_like(load_label_map(path), 255), "")
    scores = score_labels()
    assert warnings == [
        f"no mask of train in {masks}: nothing is scored; put <id>.png there or set evaluate.masks",
    ]
    assert read_json(artifacts.scores(STAGE, "WSGCN-I")) == scores
    assert read_json(artifacts.metrics(STAGE, "WSGCN-I")) == {}
    pixels = [image.height * image.width for image in tiny_index.split("train")]
    assert scores == {
        "method": "WSGCN-I",
        "variant": "I",
        "propagation": "gcn",
        "dataset": "tiny",
        "classes": ["background", "disc", "cross"],
        "images": 6,
        "seconds_per_image": {"propagate": 0.25, "crf": 0.05},
        "cam_coverage": 1,
        "pseudo_coverage": 1,
        "pseudo_coverage_crf": pytest.approx(1 - pixels[0] / sum(pixels)),
    }
    assert (folder / "per_class.csv").read_text() == "class,step,iou\n"
    assert (folder / "confusion.csv").read_text() == "actual,predicted,share\n"
    with np.load(folder / "confusion.npz") as arrays:
        assert list(arrays) == []
    assert sorted(path.name for path in (folder / "panels").iterdir()) == ["t0.png", "t5.png"]
    with Image.open(folder / "panels" / "t0.png") as panel:
        assert panel.width < width_with_truth
