"""Stage ``propagate`` on disk: files of every method, the same for any order, workers and masks."""

import shutil

import numpy as np
import pytest
import torch

from tests.conftest import changed
from wsgcn.errors import DataError, StageError, UsageError
from wsgcn.ops.resize import grid_size
from wsgcn.ops.stencil import half_disc
from wsgcn.propagate import stage
from wsgcn.propagate.stage import MakeScores, _groups, run
from wsgcn.store.files import read_table
from wsgcn.store.index import Index, save_index
from wsgcn.store.paths import Artifacts
from wsgcn.store.records import Affinity, Cams, Scores, load_record, save_record
from wsgcn.vocabulary import METHODS

each_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
TRAIN = [f"t{number}" for number in range(6)]


def _prepare(root, index, params) -> Artifacts:
    """Made-up CAMs and affinities of the training pictures, for both variants."""
    files = Artifacts(root)
    save_index(files.index, index)
    for variant in "IP":
        for image in index.split("train"):
            number = int(image.id[1:])
            random = np.random.default_rng(number)
            grid = grid_size(image.height, image.width, params.cams.net(variant).grid_stride)
            cams = random.random((len(image.class_ids), *grid), dtype=np.float32) ** 4
            offsets = np.array(half_disc(3))
            weights = random.random((len(offsets), *grid)).astype(np.float16)
            features = random.random((5, *grid)).astype(np.float16)
            boundary = random.random(grid).astype(np.float16)
            save_record(files.arrays("cams", variant, image.id), Cams(np.array(image.class_ids), cams), f"c{number}")
            record = Affinity(offsets, weights, boundary, features)
            save_record(files.arrays("affinity", variant, image.id), record, f"a{number}")
    return files


def _run(params, files, method):
    logged = []
    run(params, files, method, lambda values, step: logged.append((step, values)))
    paths = sorted(files.folder("propagate", method.name).iterdir())
    return {path.name: path.read_bytes() for path in paths}, logged


@each_method
def test_every_training_photograph_gets_its_scores(tmp_path, tiny_index, tiny_params, method):
    files = _prepare(tmp_path / "a", tiny_index, tiny_params)
    made, logged = _run(tiny_params, files, method)
    assert list(made) == [f"{one}.npz" for one in TRAIN]
    for image in tiny_index.split("train"):
        record = load_record(files.arrays("propagate", method.name, image.id), Scores)
        assert record.class_ids.tolist() == [0, *image.class_ids]
        assert (record.scores >= 0).all()
        assert len(record.losses) == (5 if method.propagation == "gcn" else 0)
        if method.propagation == "random-walk":
            assert (record.partial_labels == 255).all()
        else:
            np.testing.assert_allclose(record.scores.sum(axis=0), 1, atol=1e-5)
    rows = read_table(files.losses(method.name))
    assert [row["id"] for row in rows] == (TRAIN if method.propagation == "gcn" else [])
    assert sorted(step for step, _ in logged) == (list(range(6)) if rows else [])


@each_method
def test_neither_order_nor_masks_nor_leftovers_change_a_file(tmp_path, tiny_voc, tiny_index, tiny_params, method):
    files = _prepare(tmp_path / "a", tiny_index, tiny_params)
    made, _ = _run(tiny_params, files, method)
    shutil.rmtree(tiny_voc / "SegmentationClass")
    shutil.rmtree(tiny_voc / "Annotations")
    other = _prepare(
        tmp_path / "b", Index("b", tiny_index.root, tiny_index.class_names, tiny_index.images[::-1]), tiny_params
    )
    other.folder("propagate", method.name).mkdir(parents=True)
    (other.folder("propagate", method.name) / "old.npz").write_bytes(b"x")
    assert _run(tiny_params, other, method)[0] == made


def test_two_workers_give_the_same(tmp_path, tiny_index, tiny_params):
    method = METHODS["WSGCN-P"]
    one = _run(tiny_params, _prepare(tmp_path / "a", tiny_index, tiny_params), method)[0]
    two_workers = changed(tiny_params, {"runtime.workers": 2})
    two, logged = _run(two_workers, _prepare(tmp_path / "b", tiny_index, tiny_params), method)
    assert two == one
    assert sorted(step for step, _ in logged) == list(range(6))


def test_only_what_is_out_of_date_is_made_again(tmp_path, tiny_index, tiny_params):
    files, method = _prepare(tmp_path / "a", tiny_index, tiny_params), METHODS["WSGCN-P"]
    made, _ = _run(tiny_params, files, method)
    paths = [files.arrays("propagate", method.name, one) for one in TRAIN]
    paths[2].write_bytes(b"half")
    before = [path.stat().st_mtime_ns for path in paths]
    assert _run(tiny_params, files, method)[0] == made
    assert [one != path.stat().st_mtime_ns for one, path in zip(before, paths)] == [i == 2 for i in range(6)]
    _run(changed(tiny_params, {"propagate.entropy_weight": 0}), files, method)
    assert all(one != path.stat().st_mtime_ns for one, path in zip(before, paths))


@pytest.mark.parametrize("harm", ["missing", "broken", "other grid"])
def test_a_broken_input_is_named_and_the_others_are_made(tmp_path, tiny_index, tiny_params, harm):
    files, method = _prepare(tmp_path / "a", tiny_index, tiny_params), METHODS["IRNet"]
    path = files.arrays("cams", "I", "t1")
    path.unlink()
    if harm == "broken":
        path.write_bytes(b"half")
    if harm == "other grid":
        save_record(path, Cams(np.array([2]), np.ones((1, 3, 3), np.float32)), "c")
    with pytest.raises(StageError, match=r"1 of 6.*t1\.npz") as caught:
        _run(tiny_params, files, method)
    assert list(caught.value.failures) == ["t1"]
    names = [path.name for path in files.folder("propagate", method.name).iterdir()]
    assert sorted(names) == [f"{one}.npz" for one in TRAIN if one != "t1"]


def test_together_is_as_one_by_one_and_a_broken_one_keeps_its_place(tmp_path, tiny_index, tiny_params):
    method = METHODS["WSGCN-I"]
    alone, batch = (_prepare(tmp_path / name, tiny_index, tiny_params) for name in "ab")
    _run(tiny_params, alone, method)
    images = tiny_index.split("train")
    batch.arrays("cams", "I", images[2].id).write_bytes(b"broken")
    make = MakeScores(batch, tiny_index.root, method, tiny_params.propagate, tiny_params.runtime.seed, "cpu")
    assert make(images[0]) is True
    outcomes = make.together(images)
    assert outcomes[0] is False
    assert isinstance(outcomes[2], DataError)
    assert outcomes[1:2] + outcomes[3:] == [True] * (len(images) - 2)
    for image in [*images[:2], *images[3:]]:
        one, other = (load_record(files.arrays("propagate", method.name, image.id), Scores) for files in (alone, batch))
        np.testing.assert_array_equal(one.partial_labels, other.partial_labels)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)


@pytest.mark.parametrize("pixels", [1, 4000, 10**9])
def test_groups_hold_all_photographs_and_no_more_than_fit(tiny_index, pixels):
    images = tiny_index.split("train")
    groups = _groups(images, pixels)
    assert sorted(image.id for group in groups for image in group) == sorted(image.id for image in images)
    sizes = [[image.height * image.width for image in group] for group in groups]
    assert all(len(group) == 1 or len(group) * max(group) <= pixels for group in sizes)
    assert (len(groups) == 1) == (pixels == 10**9)


def test_too_small_a_gpu_is_one_line(tmp_path, tiny_index, tiny_params, monkeypatch):
    def exhaust(*given):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(stage, "gcn_scores", exhaust)
    files = _prepare(tmp_path, tiny_index, tiny_params)
    make = MakeScores(files, tiny_index.root, METHODS["WSGCN-P"], tiny_params.propagate, 42, "cpu")
    with pytest.raises(UsageError, match=r"fewer runtime\.workers"):
        make.together(tiny_index.split("train"))
