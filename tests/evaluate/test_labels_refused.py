"""Stage ``evaluate-labels`` says in one line what is wrong, and leaves no scores that are not of all photographs."""

import numpy as np
import pytest
from PIL import Image

from tests.conftest import changed
from wsgcn.errors import DataError, StageError, UsageError
from wsgcn.store.files import write_json
from wsgcn.store.label_maps import save_label_map
from wsgcn.store.records import Scores, load_record, save_record

STAGE = "evaluate-labels"


def test_an_unknown_class_is_wrong_use(score_labels, tiny_params):
    with pytest.raises(UsageError, match=r"evaluate.classes holds unicorn: the dataset has background, disc, cross"):
        score_labels(params=changed(tiny_params, {"evaluate.classes": ("unicorn",)}))


def test_bad_masks_are_all_named_and_no_scores_are_left(score_labels, artifacts, tiny_voc):
    score_labels()
    masks = tiny_voc / "SegmentationClass"
    (masks / "t1.png").unlink()
    save_label_map(masks / "t2.png", np.zeros((10, 20), dtype=np.uint8), "")
    save_label_map(masks / "t3.png", np.full((48, 63), 9, dtype=np.uint8), "")
    Image.new("RGB", (49, 64)).save(masks / "t4.png")
    with pytest.raises(StageError) as caught:
        score_labels()
    assert sorted(caught.value.failures) == ["t1", "t2", "t3", "t4"]
    assert "t1.png is missing" in caught.value.failures["t1"]
    assert "20 x 10 pixels, but its photograph is 64 x 46" in caught.value.failures["t2"]
    assert "holds class id 9, but the dataset has classes 0 to 2" in caught.value.failures["t3"]
    assert "no label map" in caught.value.failures["t4"]
    assert "\n" not in str(caught.value)
    assert not artifacts.scores(STAGE, "WSGCN-I").exists()
    assert not artifacts.metrics(STAGE, "WSGCN-I").exists()


def test_an_impossible_class_in_scores_is_named(score_labels, artifacts):
    path = artifacts.arrays("propagate", "WSGCN-I", "t0")
    record = load_record(path, Scores)
    save_record(path, Scores.not_learned(np.array([0, 8]), record.scores), "")
    with pytest.raises(StageError, match=r"t0.npz is of something else .* classes \[8\], the index says \[1\]"):
        score_labels()


@pytest.mark.parametrize("stage", ["cams", "propagate", "crf"])
def test_a_missing_label_file_is_named(score_labels, artifacts, stage):
    name = "I" if stage == "cams" else "WSGCN-I"
    next(path for path in artifacts.folder(stage, name).iterdir() if path.stem == "t4").unlink()
    with pytest.raises(StageError, match="t4"):
        score_labels()


@pytest.mark.parametrize("missing", ["summary", "index"])
def test_a_missing_input_of_the_method_is_one_line(score_labels, artifacts, missing):
    path = {"summary": artifacts.summary("crf", "WSGCN-I"), "index": artifacts.index}[missing]
    path.unlink()
    with pytest.raises(DataError, match=f"{path.name} is missing"):
        score_labels()


@pytest.mark.parametrize("content", [[1], {"seconds_per_image": "soon"}, {"seconds_per_image": [1]}])
def test_a_summary_without_its_number_is_one_line(score_labels, artifacts, content):
    write_json(artifacts.summary("crf", "WSGCN-I"), content)
    with pytest.raises(DataError, match=r"WSGCN-I.summary.json (is no summary|does not hold values by name)"):
        score_labels()


def test_the_seconds_of_work_that_was_linked_may_be_unknown(score_labels, artifacts):
    write_json(artifacts.summary("crf", "WSGCN-I"), {"seconds_per_image": None})
    assert score_labels()["seconds_per_image"] == {"propagate": 0.25, "crf": None}
