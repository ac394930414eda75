"""The stage from label maps on disk to a checkpoint, and what it says of bad inputs."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import changed
from wsgcn.errors import DataError, UsageError
from wsgcn.nets.deeplab import load_deeplab, predict_probs
from wsgcn.segtrain.stage import train_segmentation
from wsgcn.store.checkpoints import save_checkpoint
from wsgcn.store.files import read_table
from wsgcn.store.index import load_index, save_index
from wsgcn.store.label_maps import save_label_map
from wsgcn.store.paths import Artifacts
from wsgcn.store.photos import load_photo
from wsgcn.store.records import Scores, save_record
from wsgcn.training.loop import Trained

METHOD = "WSGCN-I"


@pytest.fixture
def artifacts(tmp_path, tiny_voc, tiny_index):
    """Pseudo labels of the training pictures: their masks, a corner unlabelled."""
    artifacts = Artifacts(tmp_path / "artifacts")
    save_index(artifacts.index, tiny_index)
    for image in tiny_index.split("train"):
        labels = np.array(Image.open(tiny_voc / "SegmentationClass" / f"{image.id}.png"))
        labels[:5, :5] = 255
        save_label_map(artifacts.label_map("crf", METHOD, image.id), labels, "made by the test")
    return artifacts


def train(params, artifacts, name=METHOD):
    logged = []
    train_segmentation(params, artifacts, params.method(name), lambda one, step: logged.append((step, dict(one))))
    return logged


def anew(params, tmp_path):
    """The same parameters with a store that holds nothing, so that a training is done again."""
    return changed(params, {"runtime.store": str(tmp_path / "another store")})


def state(artifacts):
    return load_deeplab(artifacts.checkpoint("segtrain", METHOD), torch.device("cpu")).state_dict()


def outputs(artifacts):
    folder = artifacts.folder("segtrain", METHOD)
    return sorted(one.name for one in folder.iterdir()) if folder.exists() else []


# ---------------------------------------------------------------- from end to end


def test_stage_writes_a_network_that_predicts_and_its_history(tiny_params, artifacts, tiny_index):
    logged = train(changed(tiny_params, {"segtrain.deeplab.steps": 23}), artifacts)
    assert [step for step, _ in logged] == [10, 20, 23]
    assert all(set(metrics) == {"seg_loss", "seg_lr"} for _, metrics in logged)
    assert logged[-1][1]["seg_loss"] < logged[0][1]["seg_loss"]
    rows = read_table(artifacts.history("segtrain", METHOD))
    assert [(int(row["step"]), float(row["loss"]), float(row["lr"])) for row in rows] == [
        (step, metrics["seg_loss"], metrics["seg_lr"]) for step, metrics in logged
    ]
    assert outputs(artifacts) == ["checkpoint.pt"]
    network = load_deeplab(artifacts.checkpoint("segtrain", METHOD), torch.device("cpu"))
    image = tiny_index.split("val")[0]
    probs = predict_probs(network, load_photo(tiny_index.photo_path(image)), (1.0,), flip=True, merge="mean")
    assert probs.shape == (3, image.height, image.width)


def test_same_seed_same_checkpoint_whatever_ran_before(tiny_params, artifacts, tmp_path):
    train(tiny_params, artifacts)
    first = state(artifacts)
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    assert train(anew(tiny_params, tmp_path), artifacts)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(one, first[key]) for key, one in state(artifacts).items())
    train(changed(tiny_params, {"runtime.seed": 43}), artifacts)
    assert not torch.equal(state(artifacts)["aspp.branches.0.weight"], first["aspp.branches.0.weight"])


def test_ground_truth_is_not_read(tiny_params, artifacts, tiny_voc, tmp_path):
    train(tiny_params, artifacts)
    first = state(artifacts)
    for mask in (tiny_voc / "SegmentationClass").iterdir():
        mask.unlink()
    assert train(anew(tiny_params, tmp_path), artifacts)
    assert all(torch.equal(one, first[key]) for key, one in state(artifacts).items())


def test_labels_without_a_labelled_pixel_train_to_no_nan(tiny_params, artifacts, tiny_index):
    for image in tiny_index.split("train"):
        labels = np.full((image.height, image.width), 255, np.uint8)
        save_label_map(artifacts.label_map("crf", METHOD, image.id), labels, "")
    assert [metrics["seg_loss"] for _, metrics in train(tiny_params, artifacts)] == [0.0]
    assert all(one.isfinite().all() for one in state(artifacts).values())


def test_interrupted_training_leaves_the_earlier_checkpoint_whole(tiny_params, artifacts):
    train(tiny_params, artifacts)
    before = artifacts.checkpoint("segtrain", METHOD).read_bytes()

    def interrupt(metrics, step):
        raise KeyboardInterrupt

    other = changed(tiny_params, {"runtime.seed": 43})
    with pytest.raises(KeyboardInterrupt):
        train_segmentation(other, artifacts, other.method(METHOD), interrupt)
    assert artifacts.checkpoint("segtrain", METHOD).read_bytes() == before
    assert outputs(artifacts) == ["checkpoint.pt"]


def test_the_variants_own_classifier_is_where_training_starts(tiny_params, artifacts, monkeypatch):
    source = tiny_params.cams["irnet"]
    for variant in ("I", "P"):
        classifier = source.network(3, pretrained=False)
        save_checkpoint(artifacts.checkpoint("cams-train", variant), "cams", source.settings(3), classifier)
        if variant == "I":
            expected, weights = classifier.backbone.state_dict(), classifier.classifier.weight
    monkeypatch.setattr("wsgcn.segtrain.stage.train", lambda training, fabric, each: Trained([], {}))
    train(tiny_params, artifacts)
    new = state(artifacts)
    train(changed(tiny_params, {"segtrain.deeplab.weights": "cams"}), artifacts)
    found = state(artifacts)
    assert expected
    assert all(torch.equal(found[f"backbone.{key}"], one) for key, one in expected.items())
    added = sum(found[f"aspp.branches.{one}.weight"] - new[f"aspp.branches.{one}.weight"] for one in (0, 1))
    assert torch.allclose(added[1:, :, 1:2, 1:2], weights, atol=1e-6)
    assert added.count_nonzero() == weights.count_nonzero()


def test_confidence_needs_the_scores_and_makes_another_network(tiny_params, artifacts, tmp_path, monkeypatch):
    sure = changed(tiny_params, {"segtrain.deeplab.min_confidence": 0.6})
    refused(sure, artifacts, r"propagate.WSGCN-I.t\d\.npz is missing")
    for image in load_index(artifacts.index).split("train"):
        halves = np.ones((1 + len(image.class_ids), image.height, image.width), np.float32)
        scores = Scores.not_learned(np.array([0, *image.class_ids]), halves)
        save_record(artifacts.arrays("propagate", METHOD, image.id), scores, "")
    curve = train(sure, artifacts)
    assert [metrics["seg_loss"] for _, metrics in curve] == [0.0]  # no class has more than half
    monkeypatch.setattr("wsgcn.segtrain.stage.train", None)  # a second training would fail
    assert train(sure, artifacts) == curve
    with pytest.raises(TypeError):
        train(tiny_params, artifacts)


def test_network_is_trained_once_and_taken_by_a_method_with_the_same_labels(tiny_params, artifacts, monkeypatch):
    curve = train(tiny_params, artifacts)
    assert curve
    names = ("checkpoint.pt", "history")

    def files(method):
        paths = (artifacts.checkpoint("segtrain", method), artifacts.history("segtrain", method))
        return {name: path.read_bytes() for name, path in zip(names, paths)}

    before = files(METHOD)
    shutil.copytree(artifacts.folder("crf", METHOD), artifacts.folder("crf", "IRNet"))
    monkeypatch.setattr("wsgcn.segtrain.stage.train", None)  # a second training would fail
    artifacts.checkpoint("segtrain", METHOD).unlink()
    for method in (METHOD, "IRNet"):
        assert train(tiny_params, artifacts, method) == curve  # MLflow may lack what came before a kill
        assert files(method) == before
    with pytest.raises(TypeError):
        train(changed(tiny_params, {"segtrain.deeplab.lr": 0.001}), artifacts)


# ---------------------------------------------------------------- bad inputs


def refused(params, artifacts, message):
    with pytest.raises(DataError, match=message):
        train(params, artifacts)
    assert outputs(artifacts) == []


def test_missing_index_is_named(tiny_params, tmp_path):
    refused(tiny_params, Artifacts(tmp_path / "none"), r"index\.json is missing")


def test_missing_labels_are_counted_and_the_stage_to_run_is_named(tiny_params, artifacts):
    for image_id in ("t1", "t4"):
        artifacts.label_map("crf", METHOD, image_id).unlink()
    refused(
        tiny_params,
        artifacts,
        r"2 of 6 pseudo labels are missing, such as .*t1\.png: run `wsgcn crf --method WSGCN-I`",
    )


def test_label_map_of_another_size_is_named(tiny_params, artifacts):
    save_label_map(artifacts.label_map("crf", METHOD, "t2"), np.zeros((10, 12), np.uint8), "")
    refused(tiny_params, artifacts, r"t2\.png has 10 x 12 pixels, its photograph 46 x 64: .*wsgcn crf")


def test_broken_label_map_is_named(tiny_params, artifacts):
    path = artifacts.label_map("crf", METHOD, "t3")
    path.write_bytes(path.read_bytes()[:90])
    refused(changed(tiny_params, {"segtrain.deeplab.steps": 6}), artifacts, r"t3\.png")


def test_unknown_class_is_named(tiny_params, artifacts, tiny_index):
    for image in tiny_index.split("train"):
        labels = np.full((image.height, image.width), 7, np.uint8)
        save_label_map(artifacts.label_map("crf", METHOD, image.id), labels, "")
    refused(tiny_params, artifacts, r"t\d\.png .*it holds class id 7, but the dataset has classes 0 to 2")


def test_broken_photo_is_named(tiny_params, artifacts, tiny_voc):
    for photo in (tiny_voc / "JPEGImages").iterdir():
        photo.write_bytes(b"no picture")
    refused(tiny_params, artifacts, r"t\d\.jpg is no whole picture")


def test_photo_changed_since_the_index_is_named(tiny_params, artifacts, tiny_voc, tiny_index):
    for image in tiny_index.split("train"):
        (tiny_voc / "JPEGImages" / f"{image.id}.jpg").write_bytes((tiny_voc / "JPEGImages" / "v1.jpg").read_bytes())
    params = changed(tiny_params, {"segtrain.deeplab.steps": 6})
    refused(params, artifacts, r"t\d\.jpg has changed since `wsgcn dataset` read it")


def test_weights_of_another_network_are_named(tiny_params, artifacts, tmp_path):
    torch.save({"weight": torch.zeros(2)}, tmp_path / "weights.pth")
    params = changed(tiny_params, {"segtrain.deeplab.weights": str(tmp_path / "weights.pth")})
    refused(params, artifacts, r"weights\.pth does not hold weights of resnet-small")


def test_missing_classifier_is_named(tiny_params, artifacts):
    refused(
        changed(tiny_params, {"segtrain.deeplab.weights": "cams"}), artifacts, r"cams-train.I.checkpoint\.pt is missing"
    )


def test_unknown_split_and_device_are_named(tiny_params, artifacts):
    refused(changed(tiny_params, {"dataset.train_split": "none"}), artifacts, "no photograph of split 'none'")
    with pytest.raises(UsageError, match=r"runtime\.device is 'tpu'"):
        train(changed(tiny_params, {"runtime.device": "tpu"}), artifacts)


def test_imported_network_is_taken_without_training(tiny_params, artifacts, monkeypatch, tmp_path):
    train(tiny_params, artifacts)
    published = tmp_path / "deeplab-voc.pt"
    checkpoint = artifacts.checkpoint("segtrain", METHOD)
    checkpoint.rename(published)
    monkeypatch.setattr("wsgcn.segtrain.stage.train", None)  # a training would fail
    assert train(changed(tiny_params, {"segtrain.deeplab.trained": str(published)}), artifacts) == []
    assert checkpoint.read_bytes() == published.read_bytes()
    assert read_table(artifacts.history("segtrain", METHOD)) == []
