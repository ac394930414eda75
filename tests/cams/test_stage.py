"""Training and CAMs on disk; what every per-image stage promises is in ``tests/test_stages.py``."""

import shutil

import numpy as np
import pytest
import torch

from tests import chain
from tests.conftest import changed
from wsgcn.cams.net import build_cam_net
from wsgcn.errors import DataError, UsageError
from wsgcn.ops.resize import grid_size
from wsgcn.runtime.seeds import seeded
from wsgcn.store.files import read_json, read_table
from wsgcn.store.index import Index, save_index
from wsgcn.store.paths import Artifacts
from wsgcn.store.records import Cams, load_record
from wsgcn.vocabulary import VARIANTS

each_variant = pytest.mark.parametrize("variant", VARIANTS)


def train(params, artifacts, variant="I"):
    chain.run_stage("cams-train", variant, params, artifacts)
    return chain.contents(artifacts.folder("cams-train", variant))


@pytest.fixture
def fresh(tmp_path, tiny_index):
    artifacts = Artifacts(tmp_path / "fresh")
    save_index(artifacts.index, tiny_index)
    return artifacts


@each_variant
def test_every_training_photograph_gets_maps_on_its_grid(made, tiny_params, tiny_index, variant):
    images = tiny_index.split("train")
    assert len(chain.contents(made.folder("cams", variant))) == len(images) == 6
    for image in images:
        record = load_record(made.arrays("cams", variant, image.id), Cams)
        stride = tiny_params.cams.net(variant).grid_stride
        assert record.class_ids.tolist() == list(image.class_ids)
        assert record.cams.shape == (len(image.class_ids), *grid_size(image.height, image.width, stride))
        assert record.cams.min() >= 0
        assert set(record.cams.max(axis=(1, 2))) <= {0, 1}
    summary = read_json(made.summary("cams", variant))
    assert (summary["images"], summary["made"]) == (6, 6)
    assert summary["seconds_per_image"] > 0


def test_same_seed_same_network_whatever_ran_before(made, fresh, tiny_params):
    before = chain.contents(made.folder("cams-train", "I"))
    assert sorted(before) == ["checkpoint.pt", "fingerprint.txt", "history.csv"]
    torch.manual_seed(99)
    state = torch.random.get_rng_state()
    assert train(tiny_params, fresh) == before
    assert torch.equal(torch.random.get_rng_state(), state)
    assert train(changed(tiny_params, {"runtime.seed": 43}), fresh) != before


def test_variants_with_one_classifier_train_it_once(made, fresh, tiny_params, monkeypatch):
    before = chain.contents(made.folder("cams-train", "I"))
    train(tiny_params, fresh)
    monkeypatch.setattr("wsgcn.cams.stage.train_classifier", None)  # a second training would fail
    assert train(tiny_params, fresh, "P") == before
    with pytest.raises(TypeError):
        train(changed(tiny_params, {"cams.P.output_stride": 16}), fresh, "P")


@pytest.mark.parametrize("name", ["checkpoint.pt", "history.csv"])
def test_damaged_classifier_is_trained_again(made, fresh, tiny_params, name):
    before = train(tiny_params, fresh)
    damaged = fresh.folder("cams-train", "I") / name
    damaged.unlink()
    assert train(tiny_params, fresh) == before == chain.contents(made.folder("cams-train", "I"))


def test_training_that_runs_away_stops_with_the_rate_to_change(fresh, tiny_params):
    wild = {"cams.I.train.lr": 1e30, "cams.I.train.epochs": 9}
    with pytest.raises(UsageError, match=r"cams\.I\.train: the loss is .* choose a smaller cams\.I\.train\.lr"):
        train(changed(tiny_params, wild), fresh)
    assert not fresh.checkpoint("cams-train", "I").exists()


def test_history_has_every_step(made, tiny_params):
    rows = read_table(made.history("cams-train", "P"))
    assert [int(row["step"]) for row in rows] == [0, 1]
    assert all(np.isfinite(float(row["loss"])) for row in rows)
    assert float(rows[0]["lr"]) == pytest.approx(tiny_params.cams.I.train.lr)


def test_neither_masks_nor_validation_pictures_are_read(fresh, made, tiny_voc, tiny_params):
    for path in [*(tiny_voc / "SegmentationClass").iterdir(), *(tiny_voc / "JPEGImages").glob("v*")]:
        path.unlink()
    assert train(tiny_params, fresh) == chain.contents(made.folder("cams-train", "I"))


def test_changed_labels_of_an_image_make_its_maps_again(made, tiny_params, tiny_index):
    when = chain.times(made.folder("cams", "I"))
    images = tuple(
        image if image.id != "t1" else type(image)(**{**image.__dict__, "class_ids": (1, 2)})
        for image in tiny_index.images
    )
    save_index(made.index, Index("changed", tiny_index.root, tiny_index.class_names, images))
    chain.run_stage("cams", "I", tiny_params, made)
    now = chain.times(made.folder("cams", "I"))
    assert [one for one in now if now[one] != when[one]] == ["t1.npz"]


def test_broken_photograph_stops_the_training_by_name(fresh, tiny_voc, tiny_params):
    (tiny_voc / "JPEGImages" / "t2.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"t2\.jpg is no whole picture"):
        train(tiny_params, fresh)
    assert not fresh.folder("cams-train", "I").exists()


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"dataset.train_split": "none"}, DataError, "no photograph of split 'none'"),
        ({"runtime.device": "tpu"}, UsageError, r"runtime\.device is 'tpu'"),
        ({"cams.I.weights": "none.pth"}, DataError, r"none\.pth is missing"),
    ],
)
def test_wrong_parameters_are_named(fresh, tiny_params, values, error, message):
    with pytest.raises(error, match=message):
        train(changed(tiny_params, values), fresh)
    assert not fresh.folder("cams-train", "I").exists()


def test_imported_weights_are_taken_without_training(made, fresh, tiny_params, monkeypatch, tmp_path):
    published = tmp_path / "irnet-cam.pt"
    shutil.copy(made.checkpoint("cams-train", "I"), published)
    monkeypatch.setattr("wsgcn.cams.stage.train_classifier", None)  # a training would fail
    taken = train(changed(tiny_params, {"cams.I.trained": str(published)}), fresh)
    assert taken["checkpoint.pt"] == published.read_bytes()
    assert read_table(fresh.history("cams-train", "I")) == []
    with pytest.raises(DataError, match=r"irnet-cam\.pt was made with"):
        train(changed(tiny_params, {"cams.I.trained": str(published), "cams.I.output_stride": 16}), fresh)


def test_frozen_stages_stay_as_they_were(made, fresh, tiny_params):
    train(changed(tiny_params, {"cams.I.frozen_stages": 2, "cams.I.train.freeze_norm": True}), fresh)
    frozen, free = (torch.load(one.checkpoint("cams-train", "I"), weights_only=True)["state"] for one in (fresh, made))
    early = [key for key in frozen if key.startswith(("backbone.conv1", "backbone.layer1"))]
    with seeded(tiny_params.runtime.seed, "cams"):
        start = build_cam_net(tiny_params.cams.I, 3, pretrained=False).state_dict()
    assert early
    assert all(torch.equal(frozen[key], start[key]) for key in early)
    assert not torch.equal(free["backbone.conv1.weight"], start["backbone.conv1.weight"])
    assert not torch.equal(frozen["backbone.layer3.0.conv1.weight"], start["backbone.layer3.0.conv1.weight"])


def test_dropout_draws_from_the_runs_seed(fresh, tiny_params):
    params = changed(tiny_params, {"cams.I.dropout": 0.5})
    first = train(params, fresh)
    shutil.rmtree(fresh.folder("cams-train", "I"))
    torch.manual_seed(5)
    assert train(params, fresh) == first
