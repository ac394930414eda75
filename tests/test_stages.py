"""What every per-image stage promises: the same files for any order, workers and restart, and bad input named."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from tests import chain
from tests.conftest import ROOT, changed
from wsgcn.errors import DataError, StageError
from wsgcn.params import load_params
from wsgcn.runtime.per_image import seconds_per_image
from wsgcn.runtime.shard import Shard
from wsgcn.store.files import read_json
from wsgcn.store.index import Index, save_index
from wsgcn.store.label_maps import load_label_map
from wsgcn.store.paths import Artifacts
from wsgcn.store.records import Cams, Scores, load_record, save_record

TRAIN = [f"t{number}" for number in range(6)]
PARAMS = load_params(ROOT / "params.yaml")
METHODS = {method.name: method for method in PARAMS.all_methods()}
CASES = [(stage, name) for stage in ("cams", "affinity", "propagate", "crf") for name in chain.names_of(stage, PARAMS)]
READS_ARRAYS = [(stage, name) for stage, name in CASES if stage in ("propagate", "crf")]
THRESHOLDS = {
    "cams": {"cams.irnet.infer.scales": (0.5, 1.0), "cams.psa.infer.scales": (0.5, 1.0)},
    "affinity": {"affinity.boundary.infer.radius": 4, "affinity.affinitynet.infer.radius": 4},
    "propagate": {
        "propagate.gcn-i.lr": 0.02,
        "propagate.gcn-p.lr": 0.02,
        "propagate.walk-i.log2_steps": 2,
        "propagate.walk-p.log2_steps": 2,
    },
    "crf": {"crf.gcn.bilateral_compat": 7, "crf.walk.bilateral_compat": 7},
}
"""By stage, a change of parameters that its results depend on, and nothing before it."""

each_case = pytest.mark.parametrize(("stage", "name"), CASES, ids=lambda value: value)
each_reader = pytest.mark.parametrize(("stage", "name"), READS_ARRAYS, ids=lambda value: value)


def input_of(stage: str, name: str, artifacts: Artifacts, image_id: str):
    """A file of the stage before."""
    if stage == "crf":
        return artifacts.arrays("propagate", name, image_id)
    return artifacts.arrays("affinity", METHODS[name].variant.name, image_id)


@pytest.mark.parametrize(
    ("stage", "name", "workers"),
    [(*case, 2 if case[1] in ("P", "WSGCN-P") else 1) for case in CASES],
    ids=lambda value: value,
)
def test_same_files_from_scratch_in_another_order(made, tiny_params, tiny_index, stage, name, workers):
    folder = made.folder(stage, name)
    before = chain.contents(folder)
    assert [path.split(".")[0] for path in before] == TRAIN
    shutil.rmtree(folder)
    turned = Index("turned", tiny_index.root, tiny_index.class_names, tiny_index.images[::-1])
    save_index(made.index, turned)
    chain.run_stage(stage, name, changed(tiny_params, {"runtime.workers": workers}), made)
    assert chain.contents(folder) == before


@pytest.mark.parametrize(
    ("stage", "name"), [("cams", "I"), ("affinity", "P"), ("propagate", "WSGCN-I"), ("crf", "PSA")]
)
def test_four_shards_make_the_same_files_and_the_stage_after_them_makes_none(made, tiny_params, stage, name):
    folder, summary, losses = made.folder(stage, name), made.summary(stage, name), made.losses(name)
    before, table = chain.contents(folder), losses.exists() and losses.read_bytes()
    shutil.rmtree(folder)
    summary.unlink()
    if stage == "propagate":
        losses.unlink()
    for number in (3, 1, 4, 2):
        chain.run_stage(stage, name, tiny_params, made, Shard(number, 4))
        assert not summary.exists()
    when = chain.times(folder)
    assert chain.contents(folder) == before
    if stage == "propagate":
        assert not losses.exists()
    chain.run_stage(stage, name, tiny_params, made)
    assert chain.times(folder) == when
    assert read_json(summary)["images"] == 6
    assert seconds_per_image(summary) > 0
    if stage == "propagate":
        assert losses.read_bytes() == table


@each_case
def test_only_missing_and_damaged_files_are_made_and_leftovers_go(made, tiny_params, stage, name):
    folder = made.folder(stage, name)
    before, when = chain.contents(folder), chain.times(folder)
    missing, damaged, *kept = before
    (folder / missing).unlink()
    (folder / damaged).write_bytes(before[damaged][:100])
    (folder / f".{missing}.xyz.part").write_bytes(b"half")
    (folder / f"old{folder.joinpath(missing).suffix}").write_bytes(before[missing])
    chain.run_stage(stage, name, tiny_params, made)
    assert chain.contents(folder) == before
    now = chain.times(folder)
    assert {one for one in now if now[one] != when[one]} == {missing, damaged}
    assert len(kept) == 4


@each_case
def test_changed_numbers_of_a_stage_make_its_files_again_and_others_do_not(made, tiny_params, stage, name):
    folder = made.folder(stage, name)
    before, when = chain.contents(folder), chain.times(folder)
    others = {key: value for other, values in THRESHOLDS.items() if other != stage for key, value in values.items()}
    chain.run_stage(stage, name, changed(tiny_params, others), made)
    assert chain.times(folder) == when
    chain.run_stage(stage, name, changed(tiny_params, THRESHOLDS[stage]), made)
    now = chain.times(folder)
    assert all(now[one] != when[one] for one in when)
    assert chain.contents(folder) != before


@pytest.mark.parametrize(
    ("stage", "name", "workers"),
    [(*case, 1) for case in CASES] + [("cams", "P", 2), ("crf", "IRNet", 2)],
    ids=lambda value: value,
)
def test_broken_or_missing_photograph_is_named_and_the_others_are_done(
    made, tiny_voc, tiny_params, stage, name, workers
):
    folder = made.folder(stage, name)
    before = chain.contents(folder)
    shutil.rmtree(folder)
    photo = tiny_voc / "JPEGImages" / "t3.jpg"
    whole = photo.read_bytes()
    photo.unlink()
    photo.write_bytes(whole[:300])
    if stage == "propagate" and not METHODS[name].propagation.reads_photo:
        chain.run_stage(stage, name, tiny_params, made)
        assert chain.contents(folder) == before
        return
    with pytest.raises(StageError) as caught:
        chain.run_stage(stage, name, changed(tiny_params, {"runtime.workers": workers}), made)
    assert list(caught.value.failures) == ["t3"]
    assert "t3.jpg" in str(caught.value)
    assert "1 of 6 images failed" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert chain.contents(folder) == {one: data for one, data in before.items() if one.split(".")[0] != "t3"}


@each_reader
@pytest.mark.parametrize("harm", ["missing", "empty", "half", "text"])
def test_missing_or_broken_input_is_named_and_the_others_are_done(made, tiny_params, stage, name, harm):
    shutil.rmtree(made.folder(stage, name))
    path = input_of(stage, name, made, "t4")
    whole = path.read_bytes()
    path.unlink()
    if harm != "missing":
        path.write_bytes({"empty": b"", "half": whole[: len(whole) // 2], "text": b"no arrays"}[harm])
    with pytest.raises(StageError) as caught:
        chain.run_stage(stage, name, tiny_params, made)
    assert list(caught.value.failures) == ["t4"]
    assert str(path) in caught.value.failures["t4"]
    assert ("is missing" if harm == "missing" else "is broken") in caught.value.failures["t4"]
    assert [one.split(".")[0] for one in chain.contents(made.folder(stage, name))] == sorted({*TRAIN} - {"t4"})


@pytest.mark.parametrize("stage", ["cams", "affinity"])
@pytest.mark.parametrize("harm", ["other network", "other settings", "half", "missing"])
def test_checkpoint_of_another_network_is_one_error(made, tiny_params, stage, harm):
    shutil.rmtree(made.folder(stage, "P"))
    path, params = made.checkpoint(f"{stage}-train", "P"), tiny_params
    entry = {"cams": "psa", "affinity": "affinitynet"}[stage]
    message = {
        "other network": r"holds the network 'affinity/boundary', not '(cams|affinity/affinitynet)'",
        "other settings": "was made with .*output_stride.*: train it again",
        "half": "cannot be read as weights",
        "missing": "is missing",
    }[harm]
    if harm == "other network":
        shutil.copy(made.checkpoint("affinity-train", "I"), path)
    elif harm == "other settings":
        params = changed(tiny_params, {f"{stage}.{entry}.train.output_stride": 16})
    elif harm == "half":
        path.write_bytes(path.read_bytes()[:5000])
    else:
        path.unlink()
    with pytest.raises(DataError, match=message) as caught:
        chain.run_stage(stage, "P", params, made)
    assert not isinstance(caught.value, StageError)
    assert str(path) in str(caught.value)
    assert not made.folder(stage, "P").exists()


# ---------------------------------------------------------------- nothing to be sure of


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("level", [0.0, 1.0], ids=["no foreground", "no background"])
def test_image_without_confident_pixels_of_a_kind_gets_finite_scores_and_labels(made, tiny_params, level, method):
    path = made.arrays("cams", METHODS[method].variant.name, "t2")
    cams = load_record(path, Cams)
    maps = np.full_like(cams.cams, level)
    maps[1:] *= 0.999  # one class wins
    save_record(path, Cams(cams.class_ids, maps), "flat")
    chain.run_stages(("affinity-train", "affinity", "propagate", "crf"), tiny_params, made, method)
    record = load_record(made.arrays("propagate", method, "t2"), Scores)
    assert np.isfinite(record.scores).all()
    assert np.isfinite(record.losses).all()
    taught = set(np.unique(record.partial_labels)) - {255}
    assert taught <= ({0} if level == 0 else {1, 2})
    labels = load_label_map(made.label_map("crf", method, "t2"))
    assert set(np.unique(labels)) <= {0, 1, 2}
    if method in ("IRNet", "PSA"):
        assert (labels == 0).all() if level == 0 else (labels != 0).any()


def test_class_that_no_photograph_shows_is_learned_by_nobody_and_disturbs_nobody(made, tiny_params, tiny_index):
    save_index(made.index, Index("more", tiny_index.root, (*tiny_index.class_names, "ring"), tiny_index.images))
    for stage in chain.UP_TO_CRF[1:]:
        shutil.rmtree(made.root / stage)
    chain.run_stages(chain.UP_TO_CRF[1:], tiny_params, made)
    for method in METHODS:
        for image in tiny_index.split("train"):
            labels = load_label_map(made.label_map("crf", method, image.id))
            assert labels.shape == (image.height, image.width)
            assert set(np.unique(labels)) <= {0, *image.class_ids}
