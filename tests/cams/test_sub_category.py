"""CAM source ``sub-category``: its loss, its rounds on disk, and that none is trained twice."""

import shutil

import numpy as np
import pytest
import torch

from tests import chain
from tests.conftest import changed
from tests.reference import clusters as slow
from wsgcn.cams import sub_category_fit
from wsgcn.cams.net import load_cam_net
from wsgcn.cams.sub_category_fit import SubCategoryLoss, SubCategorySample, photo_features
from wsgcn.errors import DataError, UsageError
from wsgcn.nets.base import to_input
from wsgcn.store.checkpoints import read_settings
from wsgcn.store.files import read_table
from wsgcn.store.fingerprints import DigestedFile
from wsgcn.store.learned import read_learned
from wsgcn.store.photos import load_photo
from wsgcn.store.records import Cams, load_record
from wsgcn.training import loop

CLUSTERS = 2


@pytest.fixture
def params(tiny_params, tmp_path):
    """Variant I with sub-categories: rounds of 2 and 3 updates, after a classifier of 4."""
    entry = tiny_params.cams["irnet"].model_dump(mode="json")
    entry["kind"] = "sub-category"
    entry["train"] |= {"first": None, "clusters": CLUSTERS, "sub_category_weight": 5.0, "rounds": [2, 3]}
    entry["train"] |= {"steps": 4, "batch": 3, "dropout": 0.5}
    return changed(tiny_params, {"cams.irnet": entry, "runtime.store": str(tmp_path / "own store")})


def train(params, artifacts):
    """The files of the stage, by name, its history and what it learned."""
    chain.run_stage("cams-train", "I", params, artifacts)
    files = chain.contents(artifacts.folder("cams-train", "I"))
    history, learned = artifacts.history("cams-train", "I"), artifacts.learned("cams-train", "I")
    return files | {"history": history.read_bytes(), "learned": learned.read_bytes()}


# ---------------------------------------------------------------- loss and samples


@pytest.fixture
def loss(params):
    source = params.cams["irnet"]
    torch.manual_seed(0)
    net = source.network(4, pretrained=False)
    return source.loss(net)


def batch():
    generator = torch.Generator().manual_seed(2)
    target = torch.tensor([[1.0, 0, 1], [0, 1, 0]])
    sub_target = torch.tensor([[0, 1.0, 0, 0, 1, 0], [0, 0, 1, 0, 0, 0]])
    return torch.randn((2, 3, 40, 48), generator=generator), target, sub_target


def logits_of(loss, x):
    features = loss.net.backbone(x)[-1].mean(dim=(2, 3))
    sub = loss.sub_classifier.weight[:, :, 0, 0]
    return features @ loss.net.classifier.weight[:, :, 0, 0].T, features @ sub.T


def test_loss_is_that_of_both_layers(loss):
    loss.eval()
    x, target, sub_target = batch()
    expected = slow.joint_loss(
        *[one.tolist() for pair in zip(logits_of(loss, x), (target, sub_target)) for one in pair], 5
    )
    assert isinstance(loss, SubCategoryLoss)
    assert loss(x, target, sub_target).item() == pytest.approx(expected, rel=1e-5)
    with torch.no_grad():
        found = loss.measured(loss.counts([x, target, sub_target]))
    assert found.loss == pytest.approx(expected, rel=1e-5)


def test_accuracy_is_that_of_the_classes(loss):
    target = torch.tensor([[1.0, 0, 0], [0, 1, 0]])
    sub_target = torch.zeros(2, 6)
    loss._logits = lambda x: (torch.where(target > 0, 3.0, -3.0), torch.full((2, 6), 9.0))  # right, and all wrong
    assert loss.measured(loss.counts([torch.zeros(2, 3, 8, 8), target, sub_target])).accuracy == 1


def test_both_layers_learn_at_the_heads_rate(loss, params):
    backbone, heads = loss.groups()
    assert [len(one) for one in heads["params"]] == [3, 3 * CLUSTERS]
    assert heads["lr"] == backbone["lr"] * params.cams["irnet"].train.head_lr_factor
    listed = [id(one) for group in (backbone, heads) for one in group["params"]]
    assert sorted(listed) == sorted(id(one) for one in loss.parameters())


def test_dropout_hides_the_same_features_from_both_layers(loss):
    """As one layer more: what one of them sees, the other sees too."""
    loss.sub_classifier.weight.data[:3] = loss.net.classifier.weight.data
    logits, sub_logits = loss._logits(batch()[0])
    torch.testing.assert_close(logits, sub_logits[:, :3])
    assert not torch.allclose(logits, loss._logits(batch()[0])[0])


def test_sample_adds_the_sub_categories():
    sample = SubCategorySample(lambda image_id, generator: ("crop of " + image_id, "classes"), {"a": [2, 5]}, 6)
    crop, classes, found = sample("a", torch.Generator())
    assert (crop, classes, found.tolist()) == ("crop of a", "classes", [0, 1, 0, 0, 1, 0])


def test_features_are_those_of_the_whole_photograph(loss, tiny_voc):
    path = tiny_voc / "JPEGImages" / "t0.jpg"
    net = loss.net.eval()
    expected = net.backbone(to_input(load_photo(path))[None])[-1].mean(dim=(2, 3))[0]
    np.testing.assert_allclose(photo_features(net, path, torch.device("cpu")), expected.detach().numpy(), rtol=1e-5)


# ---------------------------------------------------------------- the rounds


def test_rounds_leave_one_classifier_and_one_history(params, fresh):
    files = train(params, fresh)
    assert sorted(files) == ["checkpoint.pt", "history", "learned"]
    checkpoint = fresh.checkpoint("cams-train", "I")
    assert read_settings(checkpoint, "cams") == params.cams["irnet"].settings(3)
    rows = read_table(fresh.history("cams-train", "I"))
    assert [int(row["step"]) for row in rows] == list(range(4 + 2 + 3))
    # each training begins at the whole rate, and those that end early do not come down to its end
    rates = [float(row["lr"]) for row in rows]
    assert rates[0] == rates[4] == rates[6] == params.cams["irnet"].train.lr
    assert rates[:2] == rates[4:6]
    assert rates[:3] == rates[6:9]
    assert rates[3] < rates[8]
    losses = [float(row["loss"]) for row in rows]
    assert min(losses[4:]) > 2 * max(losses[:4])  # the sub-categories' loss counts five times
    learned = read_learned(fresh, "cams-train", "I")  # which refuses what is no measurement
    assert (learned["updates"], learned["kept"]) == (9, 9)  # as the curve counts


def test_same_seed_same_network_and_another_seed_another(params, fresh, tmp_path):
    before = train(params, fresh)
    assert train(changed(params, {"runtime.store": str(tmp_path / "other")}), fresh) == before
    assert train(changed(params, {"runtime.seed": 43}), fresh) != before


@pytest.mark.parametrize(
    "values", [{"clusters": 3}, {"sub_category_weight": 0.5}, {"rounds": [3, 2]}, {"rounds": [2]}], ids=str
)
def test_parameters_decide_the_network(params, fresh, values):
    before = train(params, fresh)
    assert train(changed(params, {f"cams.irnet.train.{key}": one for key, one in values.items()}), fresh) != before


def interrupted(monkeypatch, updates):
    """Keep each training after every update, and stop after so many in all; counts those of every training."""
    done = []

    def keep(path, state):
        loop_save(path, state)
        done.append(len(state["history"]))
        if len(done) == updates:
            raise KeyboardInterrupt

    loop_save = loop.save_unfinished
    monkeypatch.setattr(loop, "KEEP_SECONDS", -1)
    monkeypatch.setattr(loop, "save_unfinished", keep)
    return done


@pytest.mark.parametrize("killed_after", [2, 5, 8])
def test_a_killed_training_goes_on_in_its_round(params, fresh, monkeypatch, tmp_path, killed_after):
    whole = train(params, fresh)
    shutil.rmtree(fresh.folder("cams-train", "I"))
    other = changed(params, {"runtime.store": str(tmp_path / "other")})
    done = interrupted(monkeypatch, killed_after)
    with pytest.raises(KeyboardInterrupt):
        train(other, fresh)
    assert not fresh.checkpoint("cams-train", "I").exists()  # no network of an earlier round in its place
    assert train(other, fresh) == whole
    assert done == [1, 2, 3, 4, 1, 2, 1, 2, 3]  # no update twice
    assert list((tmp_path / "other").glob("??/*unfinished*")) == []
    found = list((tmp_path / "other").glob("??/*-sub-categories"))
    assert len(found) == 2
    assert all(one.with_suffix(".json").exists() for one in found)  # finished work, with its note


def test_a_kill_while_sub_categories_are_sought_repeats_no_update(params, fresh, monkeypatch, tmp_path):
    whole = train(params, fresh)
    other = changed(params, {"runtime.store": str(tmp_path / "other")})
    done = interrupted(monkeypatch, 99)
    with monkeypatch.context() as broken:
        broken.setattr(sub_category_fit, "sub_categories", lambda *given: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train(other, fresh)
    assert train(other, fresh) == whole
    assert done == [1, 2, 3, 4, 1, 2, 1, 2, 3]


def test_one_round_more_trains_one_network(params, fresh, monkeypatch):
    train(params, fresh)
    trained = []
    fit = sub_category_fit.fit_network
    monkeypatch.setattr(
        sub_category_fit, "fit_network", lambda *given, **named: trained.append(named["name"]) or fit(*given, **named)
    )
    more = changed(params, {"cams.irnet.train.rounds": [2, 3, 1]})
    train(more, fresh)
    assert trained == ["cams-train 2", "cams-train 3"]  # of round 2 the network is wanted, which only a stage keeps
    assert len(read_table(fresh.history("cams-train", "I"))) == 4 + 2 + 3 + 1


@pytest.fixture
def classifier(params, fresh):
    """A checkpoint of kind ``classifier``."""
    chain.run_stage("cams-train", "P", params, fresh)
    return fresh.checkpoint("cams-train", "P")


def test_first_classifier_is_taken_from_a_file(params, classifier, fresh, monkeypatch, tiny_voc):
    """Its features make the first sub-categories, and nothing is trained before."""
    seen = {}
    find = sub_category_fit.sub_categories
    monkeypatch.setattr(
        sub_category_fit,
        "sub_categories",
        lambda features, *others: seen.update({others[-1]: features}) or find(features, *others),
    )
    given = changed(params, {"cams.irnet.train.first": str(classifier)})
    assert str(classifier) in given.cams["irnet"].files()
    train(given, fresh)
    assert len(read_table(fresh.history("cams-train", "I"))) == 2 + 3
    assert sorted(seen) == [1, 2]
    net = load_cam_net(params.cams["psa"], 3, DigestedFile.of(classifier), "cpu")
    paths = [tiny_voc / "JPEGImages" / f"t{number}.jpg" for number in range(6)]
    expected = [photo_features(net, path, torch.device("cpu")) for path in paths]
    np.testing.assert_allclose(seen[1], expected, rtol=1e-5)
    assert not np.allclose(seen[2], expected, rtol=0.1)


def test_another_first_classifier_trains_again_and_a_missing_one_is_named(params, classifier, fresh, monkeypatch):
    given = changed(params, {"cams.irnet.train.first": str(classifier)})
    train(given, fresh)
    state = torch.load(classifier, weights_only=True)
    state["state"]["classifier.weight"] += 1
    torch.save(state, classifier)
    monkeypatch.setattr(sub_category_fit, "fit_network", None)
    with pytest.raises(TypeError):
        train(given, fresh)
    classifier.unlink()
    with pytest.raises(DataError, match=r"checkpoint\.pt is missing"):
        train(given, fresh)


def test_a_first_classifier_elsewhere_trains_nothing_again(params, classifier, fresh, monkeypatch, tmp_path):
    before = train(changed(params, {"cams.irnet.train.first": str(classifier)}), fresh)
    moved = shutil.copy(classifier, tmp_path / "moved.pt")
    monkeypatch.setattr(sub_category_fit, "fit_network", None)
    assert train(changed(params, {"cams.irnet.train.first": str(moved)}), fresh) == before
    with pytest.raises(TypeError):  # none is not one elsewhere
        train(params, fresh)


def test_imported_weights_are_taken_without_training(params, classifier, fresh, monkeypatch):
    monkeypatch.setattr(sub_category_fit, "fit_network", None)
    train(changed(params, {"cams.irnet.train.trained": str(classifier)}), fresh)
    assert read_table(fresh.history("cams-train", "I")) == []


def test_cams_are_those_of_the_classes(params, fresh):
    chain.run_stages(("cams-train", "cams"), params.model_copy(update={"variants": {"I": params.variants["I"]}}), fresh)
    cams = load_record(fresh.arrays("cams", "I", "t2"), Cams)
    assert cams.class_ids.tolist() == [1, 2]
    assert cams.cams.max() <= 1
    assert cams.cams.shape[0] == 2


def test_wrong_parameters_are_named(params):
    with pytest.raises(UsageError, match="rounds"):
        changed(params, {"cams.irnet.train.rounds": []})
    with pytest.raises(UsageError, match="clusters"):
        changed(params, {"cams.irnet.train.clusters": 0})


@pytest.mark.parametrize(
    ("steps", "rounds", "long"), [(4, [2, 5], 5), ("4 epochs", ["5 epochs"], "5 epochs"), (4, ["1 epoch", 6], 6)]
)
def test_rounds_longer_than_the_steps_are_refused(params, steps, rounds, long):
    with pytest.raises(UsageError, match=rf"cams\.irnet\.train: rounds: {long} is longer than steps: {steps}$"):
        changed(params, {"cams.irnet.train.steps": steps, "cams.irnet.train.rounds": rounds})


def test_updates_and_epochs_are_compared_where_the_photographs_are_known(params, fresh):
    """Two updates show each of the six photographs once."""
    fits = changed(params, {"cams.irnet.train.steps": 2, "cams.irnet.train.rounds": ["1 epoch"]})
    train(fits, fresh)
    long = changed(params, {"cams.irnet.train.steps": 2, "cams.irnet.train.rounds": ["1.5 epochs"]})
    with pytest.raises(UsageError, match=r"^cams\.irnet\.train\.rounds: 1\.5 epochs is longer than steps: 2$"):
        train(long, fresh)
