"""Pseudo labels on disk; what every per-image stage promises is in ``tests/test_stages.py``."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests import chain
from tests.conftest import changed, real_content
from wsgcn.crf.refine import refine
from wsgcn.ops.resize import grid_size, resize_maps
from wsgcn.store.files import read_json
from wsgcn.store.label_maps import load_label_map
from wsgcn.store.photos import load_photo
from wsgcn.store.records import Scores, load_record, save_record
from wsgcn.vocabulary import palette

METHODS = tuple(real_content()["methods"])
each_method = pytest.mark.parametrize("method", METHODS)


@each_method
def test_every_training_photograph_gets_a_complete_palette_picture(made, tiny_index, method):
    images = tiny_index.split("train")
    assert list(chain.contents(made.folder("crf", method))) == [f"{image.id}.png" for image in images]
    for image in images:
        path = made.label_map("crf", method, image.id)
        labels = load_label_map(path)
        assert labels.shape == (image.height, image.width)
        assert set(np.unique(labels)) <= {0, *image.class_ids}
        with Image.open(path) as picture:
            assert picture.mode == "P"
            assert picture.getpalette() == palette()[: len(picture.getpalette())]
    summary = read_json(made.summary("crf", method))
    assert summary["images"] == 6
    assert summary["seconds_per_image"] > 0


@each_method
def test_labels_are_the_refined_scores_with_the_methods_own_numbers(made, tiny_params, tiny_index, method):
    params = changed(tiny_params, {"crf.gcn.iterations": 1, "crf.walk.iterations": 4})
    chain.run_stage("crf", method, params, made)
    image = tiny_index.split("train")[2]
    record = load_record(made.arrays("propagate", method, image.id), Scores)
    settings = params.crf["gcn" if method.startswith("WSGCN") else "walk"]
    expected = refine(record.class_ids, record.scores, load_photo(tiny_index.photo_path(image)), settings)
    np.testing.assert_array_equal(load_label_map(made.label_map("crf", method, image.id)), expected)


def test_scores_whose_logarithms_count_are_enlarged_so(made, tiny_params, tiny_index):
    image, path = tiny_index.split("train")[2], made.arrays("propagate", "WSGCN-I", "t2")
    record = load_record(path, Scores)
    spread = np.random.default_rng(0).random(record.scores.shape, dtype=np.float32) ** 4
    record = replace(record, scores=spread, logarithmic=np.array(1, np.uint8))
    save_record(path, record, "propagated with another upsampling")
    chain.run_stage("crf", "WSGCN-I", tiny_params, made)
    photo, crf = load_photo(tiny_index.photo_path(image)), tiny_params.crf["gcn"]
    one, other = (refine(record.class_ids, record.scores, photo, crf, logs) for logs in (True, False))
    np.testing.assert_array_equal(load_label_map(made.label_map("crf", "WSGCN-I", image.id)), one)
    assert (one != other).any()


def test_each_entry_has_numbers_of_its_own(made, tiny_params):
    when = {method: chain.times(made.folder("crf", method)) for method in METHODS}
    params = changed(tiny_params, {"crf.walk.bilateral_compat": 9})
    for method in METHODS:
        chain.run_stage("crf", method, params, made)
    same = {method for method in METHODS if chain.times(made.folder("crf", method)) == when[method]}
    assert same == {"WSGCN-I", "WSGCN-P"}


def test_run_that_makes_nothing_keeps_the_measured_time(made, tiny_params, tmp_path, monkeypatch):
    params = changed(tiny_params, {"runtime.store": str(tmp_path / "own store")})
    before = read_json(made.summary("crf", "PSA"))
    chain.run_stage("crf", "PSA", params, made)
    assert read_json(made.summary("crf", "PSA")) == before  # nobody noted how long these took
    shutil.rmtree(made.folder("crf", "PSA"))
    chain.run_stage("crf", "PSA", params, made)
    measured, files = read_json(made.summary("crf", "PSA")), chain.contents(made.folder("crf", "PSA"))
    monkeypatch.setattr("wsgcn.crf.refine.refine", None)  # from here on nothing may be made
    made.label_map("crf", "PSA", "t0").unlink()
    chain.run_stage("crf", "PSA", params, made)
    assert read_json(made.summary("crf", "PSA")) == measured
    assert chain.contents(made.folder("crf", "PSA")) == files


def test_changed_scores_of_an_image_make_its_labels_again(made, tiny_params):
    path = made.arrays("propagate", "WSGCN-I", "t3")
    when = chain.times(made.folder("crf", "WSGCN-I"))
    save_record(path, load_record(path, Scores), "propagated anew")
    chain.run_stage("crf", "WSGCN-I", tiny_params, made)
    now = chain.times(made.folder("crf", "WSGCN-I"))
    assert [one for one in now if now[one] != when[one]] == ["t3.png"]


def test_whole_cells_are_enlarged_and_cut_off_before_the_crf(made, tiny_params, tiny_index):
    image = tiny_index.split("train")[1]
    path = made.arrays("propagate", "WSGCN-P", image.id)
    record = load_record(path, Scores)
    record = replace(record, scores=np.random.default_rng(0).random(record.scores.shape, dtype=np.float32))
    found = []
    for stride in (0, 8):
        save_record(path, replace(record, stride=np.array(stride)), f"cells of {stride}")
        chain.run_stage("crf", "WSGCN-P", tiny_params, made)
        found.append(load_label_map(made.label_map("crf", "WSGCN-P", image.id)))
    stretched, labels = found
    rgb_u8 = load_photo(tiny_index.photo_path(image))
    rows, columns = grid_size(*rgb_u8.shape[:2], 8)
    enlarged = resize_maps(record.scores, (8 * rows, 8 * columns))[:, : rgb_u8.shape[0], : rgb_u8.shape[1]]
    kind = tiny_params.method("WSGCN-P").crf
    np.testing.assert_array_equal(labels, kind.labels(record.class_ids, enlarged, rgb_u8, False, image.size))
    assert (labels != stretched).any()
