"""A training as a stage has it: done once for what decides it, taken from the store the second time."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from tests import chain
from tests.conftest import changed
from wsgcn.errors import DataError
from wsgcn.store.checkpoints import load_checkpoint
from wsgcn.store.files import read_json, read_table
from wsgcn.store.finished import FinishedWork
from wsgcn.store.paths import Artifacts
from wsgcn.training.descent import Step
from wsgcn.training.job import TrainingJob
from wsgcn.training.loop import Trained

SETTINGS = {"lr": 0.1, "steps": "2 epochs"}
LEARNED = {"balanced_accuracy": 0.75, "chance": 0.5}


@pytest.fixture
def job(tiny_params, tiny_index, tmp_path):
    """A job with a store and files of its own."""
    artifacts = Artifacts(tmp_path / "artifacts")
    return TrainingJob(
        index=tiny_index,
        images=tiny_index.split("train"),
        runtime=tiny_params.runtime,
        finished=FinishedWork(tmp_path / "store"),
        code="code",
        checkpoint=artifacts.checkpoint("cams-train", "I"),
        history=artifacts.history("cams-train", "I"),
        learned=artifacts.learned("cams-train", "I"),
        section="cams.irnet.train",
        label="cams-train I",
    )


@pytest.fixture
def learn(job):
    """Trains a network that is new each time; says how often."""
    calls = []

    def learn_network(unfinished):
        calls.append(None)
        job.save("line", {"cells": 2}, nn.Linear(2, 1), Trained([Step(0, 0.5 + len(calls), 0.1)], LEARNED))

    learn_network.calls = calls
    return learn_network


# ---------------------------------------------------------------- once


def test_a_training_is_done_once_and_taken_the_second_time(job, learn):
    mark = job.fingerprint(SETTINGS, [])
    job.train_once(mark, learn)
    files = (job.checkpoint, job.history, job.learned)
    made = [path.read_bytes() for path in files]
    assert read_table(job.history) == [{"step": "0", "loss": "1.5", "lr": "0.1"}]
    assert read_json(job.learned) == LEARNED
    for path in files:
        path.unlink()
    job.train_once(mark, learn)
    assert [path.read_bytes() for path in files] == made
    assert len(learn.calls) == 1


def test_going_back_to_earlier_settings_trains_nothing(job, learn):
    first, second = (job.fingerprint(SETTINGS | {"lr": lr}, []) for lr in (0.1, 0.2))
    kept = []
    for mark in (first, second, first, second):
        job.train_once(mark, learn)
        kept.append(job.checkpoint.read_bytes())
    assert len(learn.calls) == 2
    assert kept[:2] == kept[2:]
    assert kept[0] != kept[1]


@pytest.mark.parametrize("lost", ["history", "learned", "network"])
def test_what_lacks_its_network_its_curve_or_its_numbers_is_trained_again(job, learn, lost):
    mark = job.fingerprint(SETTINGS, [])
    job.train_once(mark, learn)
    (path,) = job.finished.root.glob(f"??/*-{lost}")
    path.unlink()
    job.train_once(mark, learn)
    assert len(learn.calls) == 2
    assert read_table(job.history)[0]["loss"] == "2.5"
    load_checkpoint(job.checkpoint, "line", {"cells": 2}, nn.Linear(2, 1))


def test_what_failed_or_was_interrupted_is_not_kept(job, learn):
    def fail(unfinished):
        learn(unfinished)
        raise KeyboardInterrupt

    mark = job.fingerprint(SETTINGS, [])
    with pytest.raises(KeyboardInterrupt):
        job.train_once(mark, fail)
    job.train_once(mark, learn)
    assert len(learn.calls) == 2


def test_the_store_stays_within_its_room(job, learn):
    job = replace(job, runtime=job.runtime.model_copy(update={"store_gb": 1e-9}))
    for lr in (0.1, 0.2):
        job.train_once(job.fingerprint(SETTINGS | {"lr": lr}, []), learn)
    held = [path for path in job.finished.root.glob("??/*") if path.suffix != ".json"]
    assert len(held) == 3
    assert all(path.stat().st_nlink == 2 for path in held)


# ---------------------------------------------------------------- what makes a network


def test_same_inputs_have_the_same_fingerprint_whatever_the_job_is_called(job, tmp_path):
    named = replace(
        job,
        label="something else",
        section="cams.other.train",
        checkpoint=tmp_path / "a.pt",
        history=tmp_path / "a.csv",
    )
    other = {"device": "cuda", "workers": 7, "engine": "ray", "address": "a:1", "store": "elsewhere", "store_gb": 1.0}
    moved = replace(job, runtime=job.runtime.model_copy(update=other), finished=FinishedWork(tmp_path / "other"))
    marks = {one.fingerprint(dict(reversed(SETTINGS.items())), []) for one in (job, named, moved)}
    assert marks == {job.fingerprint(SETTINGS, [])}


@pytest.mark.parametrize("values", [{"seed": 1}, {"precision": "bf16-mixed"}, {"devices": 2}])
def test_seed_devices_and_precision_decide_the_network(job, values):
    other = replace(job, runtime=job.runtime.model_copy(update=values))
    assert other.fingerprint(SETTINGS, []) != job.fingerprint(SETTINGS, [])


@pytest.mark.parametrize("native", [True, False])
def test_the_precision_that_is_computed_decides_not_what_it_is_called(job, native, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": native})
    named = "bf16-mixed" if native else "32-true"
    marks = [
        replace(job, runtime=job.runtime.model_copy(update={"device": "cpu", "precision": one})).fingerprint({}, [])
        for one in ("auto", named)
    ]
    assert marks[0] == marks[1]


def test_photographs_class_ids_code_and_settings_decide_the_network(job, tiny_voc):
    first, *rest = job.images
    others = [
        replace(job, images=rest),
        replace(job, images=[replace(first, class_ids=(1, 2)), *rest]),
        replace(job, images=[replace(first, id="other"), *rest]),
        replace(job, code="other code"),
    ]
    marks = [job.fingerprint(SETTINGS, []), *(one.fingerprint(SETTINGS, []) for one in others)]
    marks.append(job.fingerprint(SETTINGS | {"lr": 0.2}, []))
    marks.append(job.fingerprint(SETTINGS, [], ["a mark"]))
    photo = tiny_voc / first.photo
    photo.write_bytes(photo.read_bytes() + b"\0")
    marks.append(job.fingerprint(SETTINGS, []))
    assert len(set(marks)) == len(marks)


def test_the_content_of_a_weight_file_decides_and_not_its_name(job, tmp_path):
    files = [tmp_path / name for name in ("one.pth", "two.pth", "three.pth")]
    for path, content in zip(files, (b"weights", b"weights", b"others")):
        path.write_bytes(content)
    one, two, three = (job.fingerprint(SETTINGS, [path]) for path in files)
    assert one == two != three


def test_missing_files_are_named(job, tiny_voc, tmp_path):
    with pytest.raises(DataError, match=r"none\.pth is missing"):
        job.fingerprint(SETTINGS, [tmp_path / "none.pth"])
    (tiny_voc / job.images[2].photo).unlink()
    with pytest.raises(DataError, match=r"t2\.jpg is missing"):
        job.fingerprint(SETTINGS, [])


# ---------------------------------------------------------------- imported weights


def test_imported_weights_are_taken_with_an_empty_curve(job, tmp_path):
    imported = nn.Linear(2, 1)
    replace(job, checkpoint=tmp_path / "imported.pt").save(
        "line", {"cells": 2}, imported, Trained([Step(0, 1.0, 0.1)], LEARNED)
    )
    job.take_imported(str(tmp_path / "imported.pt"), "line", {"cells": 2}, nn.Linear(2, 1))
    found = nn.Linear(2, 1)
    load_checkpoint(job.checkpoint, "line", {"cells": 2}, found)
    assert torch.equal(found.weight, imported.weight)
    assert (read_table(job.history), read_json(job.learned)) == ([], {})
    assert not job.finished.root.exists()


def test_imported_weights_of_another_network_are_refused(job, tmp_path):
    replace(job, checkpoint=tmp_path / "imported.pt").save("curve", {"cells": 2}, nn.Linear(2, 1), Trained([], {}))
    with pytest.raises(DataError, match="holds the network 'curve', not 'line'"):
        job.take_imported(str(tmp_path / "imported.pt"), "line", {"cells": 2}, nn.Linear(2, 1))
    assert not job.checkpoint.exists()


# ---------------------------------------------------------------- every training is such a job

TRAININGS = [
    ("cams-train", "I", "cams.irnet.train"),
    ("affinity-train", "I", "affinity.boundary.train"),
    ("affinity-train", "P", "affinity.affinitynet.train"),
    ("segtrain", "WSGCN-I", "segtrain.deeplab"),
]


@pytest.mark.parametrize(("stage", "name", "section"), TRAININGS, ids=[f"{one[0]} {one[1]}" for one in TRAININGS])
def test_an_experiment_and_the_way_back_train_once_each(stage, name, section, made, tiny_params, monkeypatch):
    saved, found, save = [], [], TrainingJob.save
    monkeypatch.setattr(TrainingJob, "save", lambda job, *given: [saved.append(job.label), save(job, *given)])
    for lr in (0.001, 0.002, 0.001):
        chain.run_stage(stage, name, changed(tiny_params, {f"{section}.lr": lr}), made)
        found.append(made.checkpoint(stage, name).read_bytes())
    assert found[0] == found[2] != found[1]
    assert saved == [f"{stage} {name}"] * 2
