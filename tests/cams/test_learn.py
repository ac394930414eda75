"""Stage ``cams-train`` on disk: one network of the same numbers, whatever runs when, and bad input named."""

import shutil

import numpy as np
import pytest
import torch

from tests import chain
from tests.conftest import changed
from wsgcn.cams.net import build_cam_net
from wsgcn.errors import DataError, UsageError
from wsgcn.runtime.seeds import seeded
from wsgcn.store.files import read_table

TRAINING = "wsgcn.cams.learn.train_classifier"


def outputs(artifacts, variant="I"):
    """Files of a variant's training, its history among them; {} before."""
    folder, history = artifacts.folder("cams-train", variant), artifacts.history("cams-train", variant)
    files = chain.contents(folder) if folder.exists() else {}
    return files | ({"history": history.read_bytes()} if history.exists() else {})


def train(params, artifacts, variant="I"):
    chain.run_stage("cams-train", variant, params, artifacts)
    return outputs(artifacts, variant)


@pytest.fixture
def params(tiny_params, tmp_path):
    """With a store that holds nothing of what ``made`` made."""
    return changed(tiny_params, {"runtime.store": str(tmp_path / "own store")})


def test_same_seed_same_network_whatever_ran_before(made, fresh, params):
    before = outputs(made)
    assert sorted(before) == ["checkpoint.pt", "history"]
    torch.manual_seed(99)
    state = torch.random.get_rng_state()
    assert train(params, fresh) == before
    assert torch.equal(torch.random.get_rng_state(), state)
    assert train(changed(params, {"runtime.seed": 43}), fresh) != before


def test_sources_with_the_same_numbers_train_once(made, fresh, params, monkeypatch):
    before = outputs(made)
    train(params, fresh)
    monkeypatch.setattr(TRAINING, None)  # a second training would fail
    assert train(params, fresh, "P") == before
    with pytest.raises(TypeError):
        train(changed(params, {"cams.psa.train.output_stride": 16}), fresh, "P")


def test_names_of_source_and_variant_decide_nothing(made, fresh, params, monkeypatch):
    content = params.model_dump(mode="json")
    renamed = changed(
        params,
        {
            "cams": content["cams"] | {"renamed": content["cams"]["irnet"]},
            "variants": content["variants"]
            | {"J": {"cams": "renamed", "affinity": "boundary", "after": "dataset/index.json"}},
        },
    )
    assert train(renamed, fresh, "J") == outputs(made)
    monkeypatch.setattr(TRAINING, None)
    train(renamed, fresh, "I")


@pytest.mark.parametrize("name", ["checkpoint.pt", "history"])
def test_deleted_file_is_taken_from_the_store_and_a_damaged_one_trained_again(made, fresh, params, monkeypatch, name):
    before = train(params, fresh)
    path = fresh.checkpoint("cams-train", "I") if name == "checkpoint.pt" else fresh.history("cams-train", "I")
    with monkeypatch.context() as without:
        without.setattr(TRAINING, None)
        path.unlink()
        assert train(params, fresh) == before
    path.write_bytes(b"damaged")  # the file in the store is the same one
    assert train(params, fresh) == before == outputs(made)


def test_training_that_runs_away_stops_with_the_rate_to_change(fresh, params):
    wild = {
        "cams.irnet.train.lr": 10,
        "cams.irnet.train.head_lr_factor": 1e6,
        "cams.irnet.train.optimiser": {"kind": "sgd", "momentum": 1.0, "weight_decay": 1000},
        "cams.irnet.train.steps": "9 epochs",
    }
    with pytest.raises(UsageError, match=r"cams\.irnet\.train: the loss is .* choose a smaller cams\.irnet\.train\.lr"):
        train(changed(params, wild), fresh)
    assert outputs(fresh) == {}


def test_history_has_every_step(made, params):
    rows = read_table(made.history("cams-train", "P"))
    assert [int(row["step"]) for row in rows] == [0, 1]
    assert all(np.isfinite(float(row["loss"])) for row in rows)
    assert float(rows[0]["lr"]) == pytest.approx(params.cams["psa"].train.lr)


def test_neither_masks_nor_validation_pictures_are_read(fresh, made, tiny_voc, params):
    for path in [*(tiny_voc / "SegmentationClass").iterdir(), *(tiny_voc / "JPEGImages").glob("v*")]:
        path.unlink()
    assert train(params, fresh) == outputs(made)


def test_broken_photograph_stops_the_training_by_name(fresh, tiny_voc, params):
    (tiny_voc / "JPEGImages" / "t2.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"t2\.jpg is no whole picture"):
        train(params, fresh)
    assert outputs(fresh) == {}


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"dataset.train_split": "none"}, DataError, "no photograph of split 'none'"),
        ({"runtime.device": "tpu"}, UsageError, r"runtime\.device is 'tpu'"),
        ({"cams.irnet.train.weights": "none.pth"}, DataError, r"none\.pth is missing"),
    ],
)
def test_wrong_parameters_are_named(fresh, params, values, error, message):
    with pytest.raises(error, match=message):
        train(changed(params, values), fresh)
    assert outputs(fresh) == {}


def test_imported_weights_are_taken_without_training(made, fresh, params, monkeypatch, tmp_path):
    published = tmp_path / "irnet-cam.pt"
    shutil.copy(made.checkpoint("cams-train", "I"), published)
    monkeypatch.setattr(TRAINING, None)  # a training would fail
    taken = train(changed(params, {"cams.irnet.train.trained": str(published)}), fresh)
    assert taken["checkpoint.pt"] == published.read_bytes()
    assert read_table(fresh.history("cams-train", "I")) == []
    other = {"cams.irnet.train.trained": str(published), "cams.irnet.train.output_stride": 16}
    with pytest.raises(DataError, match=r"irnet-cam\.pt was made with"):
        train(changed(params, other), fresh)


def test_frozen_stages_stay_as_they_were(made, fresh, params):
    train(changed(params, {"cams.irnet.train.frozen_stages": 2, "cams.irnet.train.freeze_norm": "all"}), fresh)
    frozen, free = (torch.load(one.checkpoint("cams-train", "I"), weights_only=True)["state"] for one in (fresh, made))
    early = [key for key in frozen if key.startswith(("backbone.conv1", "backbone.layer1"))]
    with seeded(params.runtime.seed, "cams"):
        start = build_cam_net(params.cams["irnet"].train, 3, pretrained=True).state_dict()
    assert early
    assert all(torch.equal(frozen[key], start[key]) for key in early)
    assert not torch.equal(free["backbone.conv1.weight"], start["backbone.conv1.weight"])
    assert not torch.equal(frozen["backbone.layer3.0.conv1.weight"], start["backbone.layer3.0.conv1.weight"])


def test_dropout_draws_from_the_runs_seed(fresh, params, tmp_path):
    with_dropout = changed(params, {"cams.irnet.train.dropout": 0.5})
    first = train(with_dropout, fresh)
    torch.manual_seed(5)
    assert train(changed(with_dropout, {"runtime.store": str(tmp_path / "another")}), fresh) == first
