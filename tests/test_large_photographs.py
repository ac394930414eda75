"""Large photographs: seen at a bounded size, labelled at their own, refused beyond a limit, in a bounded memory."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from tests import chain
from tests.conftest import changed, real_content
from tests.test_compared import uncommented
from wsgcn.dataset.paint import draw_picture
from wsgcn.errors import StageError
from wsgcn.nets.build import network_memory
from wsgcn.ops.resize import grid_size
from wsgcn.params import load_params
from wsgcn.predict import model_of, predict_photographs
from wsgcn.runtime.memory import worker_memory
from wsgcn.store.files import read_json
from wsgcn.store.index import largest, load_index
from wsgcn.store.label_maps import load_label_map
from wsgcn.store.paths import Artifacts
from wsgcn.store.records import Affinity, Cams, Scores, load_record
from wsgcn.vocabulary import palette

METHOD = "WSGCN-I"
STAGES = (*chain.UP_TO_CRF, "evaluate-labels", "segtrain", "evaluate")


def test_what_is_seen_smaller_is_labelled_at_its_own_size(tiny_params, tmp_path):
    params = changed(tiny_params, {"dataset.work_megapixels": 0.002})
    artifacts = Artifacts(tmp_path / "artifacts")
    chain.run_stages(STAGES, params, artifacts, METHOD)
    index = load_index(artifacts.index)
    assert all(math.prod(image.seen) <= 2000 < math.prod(image.size) for image in index.images)
    for image in index.split("train"):
        grid = grid_size(*image.seen, params.cams["irnet"].infer.stride)
        assert load_record(artifacts.arrays("cams", "I", image.id), Cams).cams.shape[1:] == grid
        assert load_record(artifacts.arrays("affinity", "I", image.id), Affinity).weights.shape[1:] == grid
        assert load_record(artifacts.arrays("propagate", METHOD, image.id), Scores).scores.shape[1:] == grid
        assert load_label_map(artifacts.label_map("crf", METHOD, image.id)).shape == image.size
    for image in index.split("val"):
        for folder in ("val", "val_crf"):
            found = load_label_map(artifacts.folder("evaluate", METHOD) / folder / f"{image.id}.png")
            assert found.shape == image.size
    for stage, score in (("evaluate-labels", "pseudo_miou_crf"), ("evaluate", "seg_miou_crf")):
        assert 0 < read_json(artifacts.metrics(stage, METHOD))[score] < 1
    _predicted_alike(params, artifacts, tmp_path)
    _seen_anew(params, artifacts)


def _predicted_alike(params, artifacts, tmp_path):
    """``wsgcn predict`` labels a photograph as the evaluation does, and refuses what it is not allowed."""
    image = load_index(artifacts.index).split("val")[0]
    model = model_of(artifacts.checkpoint("segtrain", METHOD), params.dataset.classes, params.segmentation, crf=True)
    photo = load_index(artifacts.index).photo_path(image)
    predict_photographs(model, [photo], tmp_path / "predicted", "cpu", 1, probabilities=False)
    labels = load_label_map(tmp_path / "predicted" / "labels" / f"{image.id}.png")
    np.testing.assert_array_equal(
        labels, load_label_map(artifacts.folder("evaluate", METHOD) / "val_crf" / f"{image.id}.png")
    )
    small = replace(model, max_megapixels=0.002)
    with pytest.raises(StageError, match=r"v0\.jpg: .* megapixels, dataset\.max_megapixels allows 0\.002"):
        predict_photographs(small, [photo], tmp_path / "refused", "cpu", 1, probabilities=False)


def _seen_anew(params, artifacts):
    """Another bound makes other maps."""
    before = chain.contents(artifacts.folder("cams", "I"))
    chain.run_stages(("dataset", "cams"), changed(params, {"dataset.work_megapixels": 0.0015}), artifacts, METHOD)
    after = chain.contents(artifacts.folder("cams", "I"))
    assert [name for name, content in after.items() if name.endswith(".npz") and content == before[name]] == []


def test_what_is_too_large_is_named_with_the_key_that_allows_it(tiny_params, tmp_path):
    params, artifacts = changed(tiny_params, {"dataset.max_megapixels": 0.001}), Artifacts(tmp_path / "artifacts")
    with pytest.raises(StageError, match=r"dataset\.max_megapixels allows 0\.001: raise it, or make") as caught:
        chain.run_stage("dataset", None, params, artifacts)
    assert "\n" not in str(caught.value)
    assert len(caught.value.failures) == 9
    assert not artifacts.index.exists()


# ---------------------------------------------------------------- memory

WIDTH, HEIGHT = 8660, 5774
"""50 megapixels."""
GB = 10**9
TRAININGS = ("cams-train", "affinity-train", "segtrain")
"""Stages of one process, whose memory is that of the network and its batches of crops."""
PROGRAM = """
import json, resource, sys
from pathlib import Path
from tests import chain
from wsgcn.params import load_params
from wsgcn.store.paths import Artifacts
chain.run_stage(sys.argv[1], json.loads(sys.argv[2]), load_params(Path("params.yaml")), Artifacts(Path("artifacts")))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def _write_large(root: Path, image_id: str, split: str, number: int, class_names) -> None:
    picture = draw_picture(image_id, number, 240, 360, 3)
    for folder in ("JPEGImages", "SegmentationClass", "Annotations", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    photo = Image.fromarray(picture.rgb_u8).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    photo.save(root / "JPEGImages" / f"{image_id}.jpg", quality=90)
    mask = Image.fromarray(picture.mask).resize((WIDTH, HEIGHT), Image.Resampling.NEAREST)
    mask.putpalette(palette())
    mask.save(root / "SegmentationClass" / f"{image_id}.png")
    shown = "".join(f"<object><name>{class_names[one]}</name></object>" for one in picture.class_ids)
    (root / "Annotations" / f"{image_id}.xml").write_text(f"<annotation>{shown}</annotation>")
    (root / "ImageSets/Segmentation" / f"{split}.txt").write_text(f"{image_id}\n")


def _large_project(folder: Path, preset: str) -> None:
    """A preset's parameters, a photograph of 50 megapixels in each list; what only takes time is repeated little."""
    content, root = uncommented(preset), folder / "VOC2012"
    dataset = real_content()["dataset"]
    names = dataset["classes"]  # those of the pictures
    for number, (image_id, split) in enumerate((("t0", "train"), ("v0", "val"))):
        _write_large(root, image_id, split, number, names)
    others = {key: one for key, one in dataset.items() if key.endswith("_split")}
    others |= {key: one for key, one in content["dataset"].items() if key.endswith("_megapixels")}
    content["dataset"] = {"kind": "voc", "name": "large", "root": str(root), "classes": names, **others}
    content["runtime"] |= {"workers": 1, "device": "cpu"}
    content["evaluate"] |= {"classes": names, "panels": 1}
    content["evaluate"]["masks"] = str(root / "SegmentationClass")
    short = {"steps": 2, "batch": 2, "crop": 64, "check": None, "warmup_steps": 0, "weights": None}
    for entry in (*content["cams"].values(), *content["affinity"].values()):
        entry["train"] |= {key: value for key, value in short.items() if key in entry["train"]}
    content["segtrain"]["deeplab"] |= short
    for key in ("gcn-i", "gcn-p"):
        content["propagate"][key]["steps"] = 2
    _repeat_once(content)
    (folder / "params.yaml").write_text(yaml.safe_dump(content))


def _repeat_once(content) -> None:
    """One iteration of each CRF, and walks of two steps."""
    for key, one in content.items():
        if key in ("iterations", "log2_steps"):
            content[key] = 1
        elif isinstance(one, dict):
            _repeat_once(one)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "method"), [("demo", METHOD), *(("voc12", one) for one in (METHOD, "WSGCN-P", "SEAM"))]
)
def test_every_stage_of_a_50_megapixel_photograph_takes_less_than_2_gb(tmp_path, preset, method):
    _large_project(tmp_path, preset)
    peaks, variant = {}, load_params(tmp_path / "params.yaml").method(method).variant
    for stage in STAGES:
        name = {"all": None, "variant": variant.name, "method": method}[chain.STAGES[stage].runs_for]
        command = [sys.executable, "-c", PROGRAM, stage, json.dumps(name)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        peaks[stage] = int(done.stdout.split()[-1])
        sys.stdout.write(f"| {preset} | {method} | {stage} | {peaks[stage] / GB:.2f} |\n")
    per_photograph = {stage: peak for stage, peak in peaks.items() if stage not in TRAININGS}
    cams, made = variant.cams, Artifacts(tmp_path / "artifacts")
    network = network_memory(cams.backbone, cams.largest_scale, made.checkpoint("cams-train", variant.name), "cpu")
    assert per_photograph["cams"] < worker_memory(*largest(load_index(made.index).images), network)
    assert {stage: peak for stage, peak in per_photograph.items() if peak > 2 * GB} == {}
    labels = load_label_map(tmp_path / "artifacts" / "crf" / method / "t0.png")
    assert labels.shape == (HEIGHT, WIDTH)
