"""Seeds, training and graphs on disk; what every per-image stage promises is in ``tests/test_stages.py``."""

import shutil

import numpy as np
import pytest
import torch

from tests import chain
from tests.conftest import changed
from wsgcn.errors import DataError, StageError
from wsgcn.ops.resize import grid_size
from wsgcn.ops.stencil import half_disc
from wsgcn.store.files import read_table
from wsgcn.store.label_maps import load_label_map
from wsgcn.store.records import Affinity, Cams, load_record, save_record
from wsgcn.vocabulary import VARIANTS

each_variant = pytest.mark.parametrize("variant", VARIANTS)


def train(params, artifacts, variant="I"):
    chain.run_stage("affinity-train", variant, params, artifacts)
    return chain.contents(artifacts.folder("affinity-train", variant))


@each_variant
def test_every_training_photograph_gets_a_graph_on_the_grid_of_its_cams(made, tiny_params, tiny_index, variant):
    offsets = half_disc(tiny_params.affinity.net(variant).radius)
    for image in tiny_index.split("train"):
        record = load_record(made.arrays("affinity", variant, image.id), Affinity)
        grid = grid_size(image.height, image.width, tiny_params.cams.net(variant).grid_stride)
        assert record.weights.shape == (len(offsets), *grid)
        assert load_record(made.arrays("cams", variant, image.id), Cams).cams.shape[1:] == grid
        assert record.offsets.tolist() == [list(one) for one in offsets]
        for part in (record.weights, record.boundary):
            assert 0 <= part.min() <= part.max() <= 1
        assert (record.boundary == 0).all() == (variant == "P")
        rows, columns = np.mgrid[: grid[0], : grid[1]]
        for (dy, dx), weights in zip(offsets, record.weights):
            outside = (rows + dy >= grid[0]) | (columns + dx < 0) | (columns + dx >= grid[1])
            assert (weights[outside] == 0).all()


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
def test_same_seed_same_network_without_any_mask(made, tiny_voc, tiny_params, variant):
    folder = made.folder("affinity-train", variant)
    before, seeds = chain.contents(folder), chain.contents(folder / "seeds")
    shutil.rmtree(folder)
    shutil.rmtree(tiny_voc / "SegmentationClass")
    assert train(tiny_params, made, variant) == before
    assert chain.contents(folder / "seeds") == seeds
    assert train(changed(tiny_params, {"runtime.seed": 43}), made, variant) != before


@each_variant
def test_seeds_are_made_again_only_for_other_numbers(made, tiny_params, variant):
    seeds = made.folder("affinity-train", variant) / "seeds"
    when = chain.times(seeds)
    (seeds / "old.png").write_bytes(b"")
    train(changed(tiny_params, {f"affinity.{variant}.train.lr": 0.01}), made, variant)
    assert chain.times(seeds) == when
    values = {"affinity.I.seeds.foreground": 0.6, "affinity.P.seeds.alphas": (3, 33)}
    train(changed(tiny_params, values), made, variant)
    now = chain.times(seeds)
    assert sorted(now) == sorted(when)
    assert all(now[one] != when[one] for one in when)


@each_variant
@pytest.mark.parametrize("harm", ["missing", "broken"])
def test_missing_or_broken_cam_is_named_before_any_training(made, tiny_params, variant, harm):
    shutil.rmtree(made.folder("affinity-train", variant))
    path = made.arrays("cams", variant, "t1")
    path.unlink()
    if harm == "broken":
        path.write_bytes(b"half")
    with pytest.raises(StageError, match=rf"t1\.npz is {harm}") as caught:
        train(tiny_params, made, variant)
    assert list(caught.value.failures) == ["t1"]
    assert not made.checkpoint("affinity-train", variant).exists()


@pytest.mark.parametrize("harm", ["missing", "other network"])
def test_backbone_of_the_classifier_must_be_there(made, tiny_params, harm):
    path = made.checkpoint("cams-train", "P")
    path.unlink()
    if harm == "other network":
        shutil.copy(made.checkpoint("affinity-train", "P"), path)
    with pytest.raises(
        DataError, match=rf"cams-train.P.checkpoint\.pt {'is missing' if harm == 'missing' else 'holds'}"
    ):
        train(tiny_params, made, "P")


@each_variant
def test_cams_that_are_sure_of_nothing_train_to_no_nan(made, tiny_params, tiny_index, variant):
    for image in tiny_index.split("train"):
        path = made.arrays("cams", variant, image.id)
        cams = load_record(path, Cams)
        save_record(path, Cams(cams.class_ids, np.zeros_like(cams.cams)), "flat")
    train(tiny_params, made, variant)
    chain.run_stage("affinity", variant, tiny_params, made)
    record = load_record(made.arrays("affinity", variant, "t0"), Affinity)  # refuses what is not finite
    assert record.weights.max() > 0
    assert all(np.isfinite(float(row["loss"])) for row in read_table(made.history("affinity-train", variant)))


def test_displacement_field_is_learned_and_centred(made, tiny_params):
    params = changed(tiny_params, {"affinity.I.displacement": True, "affinity.I.train.epochs": 3})
    train(params, made)
    state = torch.load(made.checkpoint("affinity-train", "I"), weights_only=True)["state"]
    assert state["displacement.last.weight"].shape == (2, 256, 1, 1)
    assert (state["displacement.mean"] != 0).all()
    assert "displacement.mean" not in torch.load(made.checkpoint("affinity-train", "P"), weights_only=True)["state"]
    chain.run_stage("affinity", "I", params, made)
    with pytest.raises(DataError, match=r"was made with .*'displacement': True.* train it again"):
        chain.run_stage("affinity", "I", tiny_params, made)


@each_variant
def test_imported_weights_are_taken_without_training(made, tiny_params, monkeypatch, tmp_path, variant):
    published = tmp_path / "published.pt"
    shutil.copy(made.checkpoint("affinity-train", variant), published)
    monkeypatch.setattr("wsgcn.affinity.stage.train_affinity", None)  # a training would fail
    taken = train(changed(tiny_params, {f"affinity.{variant}.trained": str(published)}), made, variant)
    assert taken["checkpoint.pt"] == published.read_bytes()
    assert sorted(taken) == ["checkpoint.pt", "history.csv"]
    assert not (made.folder("affinity-train", variant) / "seeds").exists()
