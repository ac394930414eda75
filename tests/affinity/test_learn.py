"""Stage ``affinity-train`` on disk: seeds and networks."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from tests import chain
from tests.conftest import changed, real_content
from wsgcn.errors import DataError, StageError, UsageError
from wsgcn.store.files import read_table
from wsgcn.store.label_maps import load_label_map
from wsgcn.store.records import Affinity, Cams, SeedScores, load_record, save_record

TRAINING = "wsgcn.affinity.learn.train_affinity"
each_variant = pytest.mark.parametrize("variant", real_content()["variants"])


def outputs(artifacts, variant="I"):
    """Files of a variant's training without the seeds, its history among them."""
    files = chain.contents(artifacts.folder("affinity-train", variant))
    return files | {"history": artifacts.history("affinity-train", variant).read_bytes()}


def train(params, artifacts, variant="I"):
    chain.run_stage("affinity-train", variant, params, artifacts)
    return outputs(artifacts, variant)


def entry_of(params, variant):
    """Name of the entry that a variant has under ``affinity``."""
    return params.variants[variant].affinity


@pytest.fixture
def params(tiny_params, tmp_path):
    """With a store that holds nothing of what ``made`` made."""
    return changed(tiny_params, {"runtime.store": str(tmp_path / "own store")})


@each_variant
def test_seeds_are_of_the_images_own_classes_and_of_its_size(made, tiny_index, variant):
    folder = made.folder("affinity-train", variant)
    for image in tiny_index.split("train"):
        seeds = load_label_map(folder / "seeds" / f"{image.id}.png")
        assert seeds.shape == (image.height, image.width)
        assert set(np.unique(seeds)) <= {0, *image.class_ids, 255}
    rows = read_table(made.history("affinity-train", variant))
    assert [int(row["step"]) for row in rows] == [0, 1]
    assert all(np.isfinite(float(row["loss"])) for row in rows)


@each_variant
def test_same_seed_same_network_without_any_mask(made, tiny_voc, params, variant):
    folder = made.folder("affinity-train", variant)
    before, seeds = outputs(made, variant), chain.contents(folder / "seeds")
    shutil.rmtree(folder)
    shutil.rmtree(tiny_voc / "SegmentationClass")
    assert train(params, made, variant) == before
    assert chain.contents(folder / "seeds") == seeds
    assert train(changed(params, {"runtime.seed": 43}), made, variant) != before


def test_name_of_the_variant_seeds_the_network_and_that_of_the_entry_does_not(made, params, monkeypatch):
    content = params.model_dump(mode="json")
    renamed = changed(
        params,
        {
            "affinity": content["affinity"] | {"renamed": content["affinity"]["boundary"]},
            "variants": content["variants"]
            | {
                name: {"cams": "irnet", "affinity": affinity, "after": "dataset/index.json"}
                for name, affinity in (("I", "renamed"), ("J", "boundary"))
            },
        },
    )
    before = outputs(made)
    shutil.rmtree(made.folder("affinity-train", "I"))
    assert train(renamed, made, "I") == before
    for stage in ("cams-train", "cams"):
        shutil.copytree(made.folder(stage, "I"), made.folder(stage, "J"))
    assert train(renamed, made, "J") != before
    seeds = [chain.contents(made.folder("affinity-train", variant) / "seeds") for variant in "IJ"]
    assert seeds[0] == seeds[1]  # no number in them is random
    monkeypatch.setattr(TRAINING, None)
    shutil.rmtree(made.folder("affinity-train", "I"))
    assert train(renamed, made, "I") == before  # from the store


def test_cams_of_another_grid_teach_and_the_graph_has_the_affinitys_own(made, params, tiny_index):
    variants = params.model_dump(mode="json")["variants"] | {
        "X": {"cams": "psa", "affinity": "boundary", "after": "dataset/index.json"}
    }
    mixed = changed(params, {"variants": variants})
    for stage in ("cams-train", "cams"):
        shutil.copytree(made.folder(stage, "P"), made.folder(stage, "X"))
    assert "checkpoint.pt" in train(mixed, made, "X")
    chain.run_stage("affinity", "X", mixed, made)
    for image in tiny_index.split("train"):
        own, of_i = (load_record(made.arrays("affinity", name, image.id), Affinity) for name in "XI")
        assert own.weights.shape == of_i.weights.shape
        assert load_record(made.arrays("cams", "X", image.id), Cams).cams.shape[1:] != own.weights.shape[1:]


@each_variant
def test_seeds_are_made_again_only_for_other_numbers(made, params, variant):
    seeds = made.folder("affinity-train", variant) / "seeds"
    when = chain.times(seeds)
    (seeds / "old.png").write_bytes(b"")
    train(changed(params, {f"affinity.{entry_of(params, variant)}.train.lr": 0.01}), made, variant)
    assert chain.times(seeds) == when
    thresholds = {
        "affinity.boundary.train.seeds.foreground": 0.6,
        "affinity.affinitynet.train.seeds.alphas": (3, 33),
    }
    train(changed(params, thresholds), made, variant)
    now = chain.times(seeds)
    assert sorted(now) == sorted(when)
    assert all(now[one] != when[one] for one in when)


@each_variant
@pytest.mark.parametrize("harm", ["missing", "broken"])
def test_missing_or_broken_cam_is_named_before_any_training(made, params, variant, harm):
    shutil.rmtree(made.folder("affinity-train", variant))
    path = made.arrays("cams", variant, "t1")
    path.unlink()
    if harm == "broken":
        path.write_bytes(b"half")
    with pytest.raises(StageError, match=rf"t1\.npz is {harm}") as caught:
        train(params, made, variant)
    assert list(caught.value.failures) == ["t1"]
    assert not made.checkpoint("affinity-train", variant).exists()


@pytest.mark.parametrize("harm", ["missing", "other network"])
def test_backbone_of_the_classifier_must_be_there(made, params, harm):
    path = made.checkpoint("cams-train", "P")
    path.unlink()
    if harm == "other network":
        shutil.copy(made.checkpoint("affinity-train", "P"), path)
    with pytest.raises(
        DataError, match=rf"cams-train.P.checkpoint\.pt {'is missing' if harm == 'missing' else 'holds'}"
    ):
        train(params, made, "P")


@each_variant
def test_cams_that_are_confident_of_nothing_train_to_no_nan(made, params, tiny_index, variant):
    for image in tiny_index.split("train"):
        path = made.arrays("cams", variant, image.id)
        cams = load_record(path, Cams)
        save_record(path, Cams(cams.class_ids, np.zeros_like(cams.cams)), "flat")
    train(params, made, variant)
    chain.run_stage("affinity", variant, params, made)
    record = load_record(made.arrays("affinity", variant, "t0"), Affinity)  # refuses what is not finite
    assert record.weights.max() > 0
    assert all(np.isfinite(float(row["loss"])) for row in read_table(made.history("affinity-train", variant)))


def test_displacement_field_is_learned_and_centred(made, params):
    values = {"affinity.boundary.train.displacement": True, "affinity.boundary.train.steps": "3 epochs"}
    with_field = changed(params, values)
    train(with_field, made)
    state = torch.load(made.checkpoint("affinity-train", "I"), weights_only=True)["state"]
    assert state["displacement.last.weight"].shape == (2, 256, 1, 1)
    assert (state["displacement.mean"] != 0).all()
    assert "displacement.mean" not in torch.load(made.checkpoint("affinity-train", "P"), weights_only=True)["state"]
    chain.run_stage("affinity", "I", with_field, made)
    with pytest.raises(DataError, match=r"was made with .*'displacement': True.* train it again"):
        chain.run_stage("affinity", "I", params, made)


@each_variant
def test_imported_weights_are_taken_without_training(made, params, monkeypatch, tmp_path, variant):
    published = tmp_path / "published.pt"
    shutil.copy(made.checkpoint("affinity-train", variant), published)
    monkeypatch.setattr(TRAINING, None)  # a training would fail
    entry = entry_of(params, variant)
    taken = train(changed(params, {f"affinity.{entry}.train.trained": str(published)}), made, variant)
    assert taken["checkpoint.pt"] == published.read_bytes()
    assert sorted(taken) == ["checkpoint.pt", "history"]
    assert read_table(made.history("affinity-train", variant)) == []
    assert not (made.folder("affinity-train", variant) / "seeds").exists()


def test_pooled_seeds_are_scores_of_each_pixel_and_teach(made, params, tiny_index):
    pooled = changed(params, {"affinity.affinitynet.train.seeds.pooled": True})
    before = outputs(made, "P")
    assert train(pooled, made, "P")["checkpoint.pt"] != before["checkpoint.pt"]
    folder = made.folder("affinity-train", "P") / "seeds"
    assert sorted(path.suffix for path in folder.iterdir()) == [".npz"] * 6
    for image in tiny_index.split("train"):
        scores = load_record(folder / f"{image.id}.npz", SeedScores)
        assert scores.class_ids.tolist() == [0, *image.class_ids]
        assert scores.low.shape == scores.high.shape == (1 + len(image.class_ids), image.height, image.width)
        for maps in (scores.low, scores.high):
            np.testing.assert_allclose(maps.sum(axis=0, dtype=np.float32), 1, atol=2e-3)
    assert all(np.isfinite(float(row["loss"])) for row in read_table(made.history("affinity-train", "P")))
    assert train(params, made, "P") == before
    assert sorted(path.suffix for path in folder.iterdir()) == [".png"] * 6


@pytest.mark.parametrize("variant", ["I", "P"])
def test_saliency_says_where_seeds_are_background(made, tiny_index, params, tmp_path, variant):
    folder, entry = tmp_path / "saliency", entry_of(params, variant)
    folder.mkdir()
    for image in tiny_index.split("train"):
        grey = np.zeros((image.height, image.width), np.uint8)
        grey[: image.height // 2] = 255  # the upper half stands out
        Image.fromarray(grey).save(folder / f"{image.id}.png")
    salient = changed(
        params, {f"affinity.{entry}.train.seeds.saliency": {"folder": str(folder), "threshold": 0.125, "cam": 1}}
    )
    assert str(folder) in salient.affinity[entry].files()
    train(salient, made, variant)
    for image in tiny_index.split("train"):
        seeds = load_label_map(made.folder("affinity-train", variant) / "seeds" / f"{image.id}.png")
        middle = image.height // 2
        assert not (seeds[: middle - 2] == 0).any()
        assert (seeds[middle + 2 :] == 0).all()
    before = chain.times(made.folder("affinity-train", variant) / "seeds")
    folder = folder.rename(tmp_path / "elsewhere")
    salient = changed(salient, {f"affinity.{entry}.train.seeds.saliency.folder": str(folder)})
    train(salient, made, variant)
    assert chain.times(made.folder("affinity-train", variant) / "seeds") == before  # only their folder moved
    (folder / "t1.png").unlink()
    with pytest.raises(StageError, match=r"1 of 6.*elsewhere/t1\.png is missing: make it, or set saliency: null"):
        train(salient, made, variant)


def test_pooled_seeds_take_no_saliency(params):
    values = {"pooled": True, "saliency": {"folder": "data/saliency", "threshold": 0.125, "cam": 0.8}}
    with pytest.raises(UsageError, match="set pooled to false"):
        changed(params, {f"affinity.affinitynet.train.seeds.{name}": value for name, value in values.items()})
