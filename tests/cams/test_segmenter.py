"""The second round: a method's segmentation network as a CAM source, and what follows from it."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests import chain
from tests.conftest import changed
from wsgcn.cams.segment import photo_maps, take_over
from wsgcn.cams.start import start_as_network
from wsgcn.errors import DataError, UsageError
from wsgcn.nets.deeplab import build_deeplab, load_deeplab, predict_probs
from wsgcn.ops.resize import resize_maps
from wsgcn.stages import stage_code
from wsgcn.store.checkpoints import read_settings
from wsgcn.store.index import load_index
from wsgcn.store.label_maps import load_label_map
from wsgcn.store.photos import load_photo
from wsgcn.store.records import Cams, load_record
from wsgcn.tracking.parameters import flat_params
from wsgcn.tracking.recorded import no_part_of

SEGMENTER = {
    "kind": "segmenter",
    "train": {"backbone": "resnet-small"},
    "infer": {"stride": 4, "scales": [0.5, 1.0]},
}


def second_round(params, after="segtrain/WSGCN-I/checkpoint.pt"):
    content = params.model_dump(mode="json")
    content["cams"]["segmenter"] = SEGMENTER
    content["variants"]["I2"] = {"cams": "segmenter", "affinity": "boundary", "after": after}
    content["methods"]["WSGCN-I2"] = {"variant": "I2", "propagation": "gcn-i", "crf": "gcn", "segtrain": "deeplab"}
    background = dict.fromkeys(content["cams"], 0.4)
    values = {key: content[key] for key in ("cams", "variants", "methods")}
    return changed(params, values | {"evaluate.cam_background": background})


@pytest.fixture
def params(tiny_params):
    return second_round(tiny_params)


@pytest.fixture
def taught(made, params):
    """The artifacts of a first round, with WSGCN-I's network."""
    chain.run_stage("segtrain", "WSGCN-I", params, made)
    return made


def test_the_maps_are_the_probabilities_of_the_photographs_own_classes(taught, params):
    for stage in ("cams-train", "cams"):
        chain.run_stage(stage, "I2", params, taught)
    net = load_deeplab(taught.checkpoint("segtrain", "WSGCN-I"), torch.device("cpu"))
    index = load_index(taught.index)
    for image in index.split("train"):
        record = load_record(taught.arrays("cams", "I2", image.id), Cams)
        probs = predict_probs(net, load_photo(index.photo_path(image)), (0.5, 1.0), flip=True, merge="mean")
        shown = probs[[0, *image.class_ids]]
        shown = shown / shown.sum(axis=0)
        maps = resize_maps(shown[1:], record.cams.shape[1:])
        expected = maps / maps.max(axis=(1, 2), keepdims=True)
        assert record.class_ids.tolist() == list(image.class_ids)
        assert record.cams.shape[1:] == (-(-image.height // 4), -(-image.width // 4))
        np.testing.assert_allclose(record.cams, expected, rtol=0, atol=1e-5)


def test_a_second_round_runs_to_its_scores_and_to_a_network_that_starts_as_the_first(taught, params, monkeypatch):
    started = []
    for stage in ("cams-train", "cams", "affinity-train", "affinity"):
        chain.run_stage(stage, "I2", params, taught)
    for stage in ("propagate", "crf"):
        chain.run_stage(stage, "WSGCN-I2", params, taught)
    scores = chain.run_stage("evaluate-labels", "WSGCN-I2", params, taught)
    assert 0 <= scores["pseudo_miou_crf"] <= 1
    for image in load_index(taught.index).split("train"):
        labels = load_label_map(taught.label_map("crf", "WSGCN-I2", image.id))
        assert set(np.unique(labels)) <= {0, *image.class_ids}
    monkeypatch.setattr("wsgcn.segtrain.stage.train", lambda training, *given: started.append(training.loss))
    with pytest.raises(AttributeError):  # nothing was trained
        chain.run_stage("segtrain", "WSGCN-I2", changed(params, {"segtrain.deeplab.weights": "cams"}), taught)
    first = load_deeplab(taught.checkpoint("segtrain", "WSGCN-I"), torch.device("cpu")).state_dict()
    state = started[0].network.state_dict()
    assert state.keys() == first.keys()
    assert all(torch.equal(state[name], first[name]) for name in state)


def test_a_network_of_another_backbone_is_refused(taught):
    job = SimpleNamespace(section="cams.segmenter.train")
    with pytest.raises(UsageError, match=r"cams\.segmenter\.train\.backbone is mobilenet-v2, but .* has resnet-small"):
        take_over(job, taught.checkpoint("segtrain", "WSGCN-I"), "mobilenet-v2")


def test_a_network_of_other_classes_or_structure_is_refused(taught, params, tmp_path):
    chain.run_stage("cams-train", "I2", params, taught)
    checkpoint = taught.checkpoint("cams-train", "I2")
    settings = read_settings(checkpoint, "cams")
    with pytest.raises(DataError, match="does not fit"):
        start_as_network(build_deeplab(settings | {"dilations": [1]}, None), checkpoint)


def test_a_missing_network_is_named(made, params):
    with pytest.raises(DataError, match=r"segtrain/WSGCN-I/checkpoint\.pt is missing"):
        chain.run_stage("cams-train", "I2", params, made)


def test_a_class_that_is_nowhere_has_an_empty_map(taught, tiny_index):
    net = load_deeplab(taught.checkpoint("segtrain", "WSGCN-I"), torch.device("cpu"))
    with torch.no_grad():
        for branch in net.aspp.branches:
            branch.bias[1] = -1e4
    photo = tiny_index.photo_path(tiny_index.split("train")[0])
    maps = photo_maps(net, photo, (1, 2), (1.0,), 4)
    assert maps[0].max() == 0
    assert maps[1].max() == 1


# ---------------------------------------------------------------- what comes after what


@pytest.mark.parametrize(
    ("after", "message"),
    [
        (
            "dataset/index.json",
            r"variants\.I2\.after: cams\.segmenter comes after segtrain/<method>/checkpoint\.pt: it st",
        ),
        (
            "segtrain/none/checkpoint.pt",
            r"variants\.I2\.after must be dataset/index\.json or segtrain/<method>",
        ),
        ("segtrain/WSGCN-I", r"variants\.I2\.after must be dataset/index\.json or segtrain/<method>"),
        (
            "crf/WSGCN-I/checkpoint.pt",
            r"variants\.I2\.after must be dataset/index\.json or segtrain/<method>",
        ),
        ("segtrain/WSGCN-I2/checkpoint.pt", r"variants\.I2\.after: I2 after I2, which never begins"),
    ],
)
def test_what_a_round_comes_after_is_checked(tiny_params, after, message):
    with pytest.raises(UsageError, match=message):
        second_round(tiny_params, after)


def test_a_first_round_comes_after_the_dataset(tiny_params):
    with pytest.raises(UsageError, match=r"variants\.I\.after: cams\.irnet comes after dataset/index\.json"):
        changed(tiny_params, {"variants.I.after": "segtrain/PSA/checkpoint.pt"})


def test_a_third_round_follows_a_second(params):
    more = params.model_dump(mode="json")["variants"]
    third = changed(params, {"variants": more | {"I3": more["I2"] | {"after": "segtrain/WSGCN-I2/checkpoint.pt"}}})
    assert third.variants["I3"].teacher == "WSGCN-I2"
    assert third.variants["I"].teacher is None


def test_later_rounds_know_those_before_them(params):
    assert params.variant("I2").rounds == ("I", "I2")
    assert params.variant("P").rounds == ("P",)
    assert [one.name for one in params.earlier(params.method("WSGCN-I2"))] == ["WSGCN-I"]
    assert params.earlier(params.method("PSA")) == []


def test_a_run_of_a_later_round_has_the_parameters_of_those_before_it(params):
    """Another first round makes another second one, which the comparison of runs must see."""
    flat = flat_params(params, params.method("WSGCN-I2"))
    assert flat["method.after"] == "segtrain/WSGCN-I/checkpoint.pt"
    assert {"cams.segmenter.kind", "cams.irnet.train.lr"} <= flat.keys()
    assert not any(name.startswith("cams.psa") for name in flat)
    assert no_part_of("labels", params, params.method("WSGCN-I")) == (
        *no_part_of("labels", params, params.method("WSGCN-I2")),
        "segtrain.",
        "method.segtrain",
    )
    assert flat != flat_params(changed(params, {"cams.irnet.train.lr": 0.123}), params.method("WSGCN-I2"))


def test_the_code_that_starts_a_network_is_part_of_its_stage(params):
    """Only where it starts so: a change in it must train the networks again."""
    assert params.cams["segmenter"].start_modules() == params.cams["irnet"].start_modules() == ("wsgcn.cams.start",)
    plain = stage_code(params, "segtrain", "WSGCN-I2")
    assert stage_code(changed(params, {"segtrain.deeplab.weights": "cams"}), "segtrain", "WSGCN-I2") != plain
