"""RRM through the stage: which labels it reads, where it starts, what it leaves."""

import numpy as np
import pytest
import torch

from tests.segtrain.test_rrm import PARAMS
from wsgcn.errors import DataError
from wsgcn.nets.deeplab import load_deeplab
from wsgcn.params import parse_params
from wsgcn.segtrain.stage import train_segmentation
from wsgcn.store.checkpoints import save_checkpoint
from wsgcn.store.index import save_index
from wsgcn.store.label_maps import save_label_map
from wsgcn.store.paths import Artifacts
from wsgcn.training.loop import Trained

METHOD = "PSA"


@pytest.fixture
def classifier(tiny_params):
    torch.manual_seed(0)
    return tiny_params.cams["psa"].network(3, pretrained=False)


@pytest.fixture
def artifacts(tmp_path, tiny_index, tiny_params, classifier):
    artifacts = Artifacts(tmp_path / "artifacts")
    save_index(artifacts.index, tiny_index)
    settings = tiny_params.cams["psa"].settings(3)
    save_checkpoint(artifacts.checkpoint("cams-train", "P"), "cams", settings, classifier)
    return artifacts


def train(params, artifacts, **changes):
    content = params.model_dump(mode="json")
    entry = PARAMS.model_dump(mode="json") | {"steps": 3, "batch": 2, "crop": 32, "weights": "cams"} | changes
    content["segtrain"]["rrm"] = entry
    content["methods"][METHOD]["segtrain"] = "rrm"
    read = parse_params(content, "test")
    logged = []
    train_segmentation(read, artifacts, read.method(METHOD), lambda one, step: logged.append(dict(one)))
    return logged


def state(artifacts):
    return load_deeplab(artifacts.checkpoint("segtrain", METHOD), torch.device("cpu")).state_dict()


def test_own_labels_need_no_label_map_and_repeat(tiny_params, artifacts, tmp_path):
    logged = train(tiny_params, artifacts)
    assert np.isfinite([one["seg_loss"] for one in logged]).all()
    before = state(artifacts)
    assert not any("classifier" in name for name in before)
    anew = tiny_params.model_copy(
        update={"runtime": tiny_params.runtime.model_copy(update={"store": str(tmp_path / "another store")})}
    )
    assert train(anew, artifacts) == logged
    assert all(torch.equal(one, state(artifacts)[name]) for name, one in before.items())


def test_the_methods_labels_are_read_and_wanted(tiny_params, artifacts, tiny_index):
    with pytest.raises(DataError, match="pseudo labels are missing"):
        train(tiny_params, artifacts, labels="method")
    found = []
    for background in (False, True):
        for image in tiny_index.split("train"):
            labels = np.full((image.height, image.width), 0 if background else image.class_ids[0], np.uint8)
            save_label_map(artifacts.label_map("crf", METHOD, image.id), labels, "")
        found.append(train(tiny_params, artifacts, labels="method"))
    assert found[0] != found[1]


def test_it_starts_as_the_variants_classifier(tiny_params, artifacts, tiny_index, classifier, monkeypatch):
    started = []

    def look(training, fabric, each):
        started.append({name: one.clone() for name, one in training.loss.state_dict().items()})
        return Trained([], {})

    monkeypatch.setattr("wsgcn.segtrain.stage.train", look)
    train(tiny_params, artifacts)
    for image in tiny_index.split("train"):
        save_label_map(artifacts.label_map("crf", METHOD, image.id), np.ones((image.height, image.width), np.uint8), "")
    train(tiny_params, artifacts, labels="method", weights=None)
    found, new = started
    assert torch.equal(found["classifier.weight"], classifier.classifier.weight)
    assert not torch.equal(new["classifier.weight"], classifier.classifier.weight)
    assert all(
        torch.equal(found[f"network.backbone.{name}"], one) for name, one in classifier.backbone.state_dict().items()
    )
