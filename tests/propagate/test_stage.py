"""Stage ``propagate`` on disk: files of every method, the same for any order, workers and masks."""

import shutil
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import changed, real_content
from wsgcn.errors import DataError, StageError, UsageError
from wsgcn.ops.grid import Grid
from wsgcn.ops.resize import grid_size, resize_maps
from wsgcn.ops.stencil import half_disc
from wsgcn.propagate.base import Propagation
from wsgcn.propagate.graph import adjacency
from wsgcn.propagate.stage import MakeScores, write_scores
from wsgcn.propagate.walk import random_walk_scores
from wsgcn.runtime.seeds import seed_for
from wsgcn.runtime.workers import Done
from wsgcn.store.files import read_json, read_table
from wsgcn.store.finished import FinishedWork
from wsgcn.store.index import Index, save_index
from wsgcn.store.paths import Artifacts
from wsgcn.store.records import Affinity, Cams, Scores, load_record, save_record

each_method = pytest.mark.parametrize("name", real_content()["methods"])
TRAIN = [f"t{number}" for number in range(6)]


def _prepare(root, index, params) -> Artifacts:
    """Made-up CAMs and affinities of the training pictures, for every variant."""
    files = Artifacts(root)
    save_index(files.index, index)
    for variant in map(params.variant, params.variants):
        for image in index.split("train"):
            _write_inputs(files, variant, image)
    return files


def _write_inputs(files, variant, image):
    number = int(image.id[1:])
    random = np.random.default_rng(number)
    grid = grid_size(image.height, image.width, variant.cams.infer.stride)
    cams = random.random((len(image.class_ids), *grid), dtype=np.float32) ** 4
    save_record(files.arrays("cams", variant.name, image.id), Cams(np.array(image.class_ids), cams), f"c{number}")
    grid = grid_size(image.height, image.width, variant.affinity.train.stride)
    offsets = np.array(half_disc(3))
    weights = random.random((len(offsets), *grid)).astype(np.float16)
    features = random.random((5, *grid)).astype(np.float16)
    boundary = random.random(grid).astype(np.float16)
    record = Affinity(offsets, weights, boundary, features)
    save_record(files.arrays("affinity", variant.name, image.id), record, f"a{number}")


def _with(params, section, entries):
    """The same parameters with more variants or methods."""
    return changed(params, {section: params.model_dump(mode="json")[section] | entries})


def _run(params, files, name):
    """The files of a method, and what was logged; finished work is kept beside the artifacts."""
    logged = []
    own_store = changed(params, {"runtime.store": str(files.root / "store")})
    write_scores(own_store, files, own_store.method(name), lambda values, step: logged.append((step, values)))
    paths = sorted(files.folder("propagate", name).iterdir())
    return {path.name: path.read_bytes() for path in paths}, logged


def _make_scores(params, files, index, name) -> MakeScores:
    method = params.method(name)
    return MakeScores(
        folder=files.folder("propagate", name),
        code="",
        finished=FinishedWork(files.root / "store"),
        root=index.root,
        artifacts=files,
        variant=method.variant.name,
        method=name,
        kind=method.propagation,
        run_seed=params.runtime.seed,
        device="cpu",
    )


@each_method
def test_every_training_photograph_gets_its_scores(tmp_path, tiny_index, tiny_params, name):
    files = _prepare(tmp_path / "a", tiny_index, tiny_params)
    made, logged = _run(tiny_params, files, name)
    kind = tiny_params.method(name).propagation
    assert list(made) == [f"{one}.npz" for one in TRAIN]
    for image in tiny_index.split("train"):
        record = load_record(files.arrays("propagate", name, image.id), Scores)
        assert record.class_ids.tolist() == [0, *image.class_ids]
        assert (record.scores >= 0).all()
        assert len(record.losses) == (5 if kind.losses else 0)
        if kind.partial_labels_used:
            np.testing.assert_allclose(record.scores.sum(axis=0), 1, atol=1e-5)
        else:
            assert (record.partial_labels == 255).all()
    summary = read_json(files.summary("propagate", name))
    assert summary["images"] == 6
    assert summary["seconds_per_image"] > 0
    rows = read_table(files.losses(name))
    assert [row["id"] for row in rows] == (TRAIN if kind.losses else [])
    assert sorted(step for step, _ in logged) == (list(range(6)) if rows else [])
    assert all(list(values) == ["gcn_total", "gcn_fg", "gcn_bg", "gcn_ent", "gcn_lap"] for _, values in logged)


@pytest.mark.parametrize(("upsampling", "logarithmic"), [("probabilities", 0), ("log-probabilities", 1)])
def test_scores_say_how_they_are_enlarged(tmp_path, tiny_index, tiny_params, upsampling, logarithmic):
    params = changed(tiny_params, {"propagate.gcn-i.upsampling": upsampling})
    files = _prepare(tmp_path / "a", tiny_index, params)
    _run(params, files, "WSGCN-I")
    record = load_record(files.arrays("propagate", "WSGCN-I", "t0"), Scores)
    assert record.logarithmic == logarithmic


@each_method
def test_neither_order_nor_masks_nor_leftovers_change_a_file(tmp_path, tiny_voc, tiny_index, tiny_params, name):
    files = _prepare(tmp_path / "a", tiny_index, tiny_params)
    made, _ = _run(tiny_params, files, name)
    shutil.rmtree(tiny_voc / "SegmentationClass")
    shutil.rmtree(tiny_voc / "Annotations")
    other = _prepare(
        tmp_path / "b", Index("b", tiny_index.root, tiny_index.class_names, tiny_index.images[::-1]), tiny_params
    )
    other.folder("propagate", name).mkdir(parents=True)
    (other.folder("propagate", name) / "old.npz").write_bytes(b"x")
    assert _run(tiny_params, other, name)[0] == made


def test_two_workers_give_the_same(tmp_path, tiny_index, tiny_params):
    one = _run(tiny_params, _prepare(tmp_path / "a", tiny_index, tiny_params), "WSGCN-P")[0]
    two_workers = changed(tiny_params, {"runtime.workers": 2})
    two, logged = _run(two_workers, _prepare(tmp_path / "b", tiny_index, tiny_params), "WSGCN-P")
    assert two == one
    assert sorted(step for step, _ in logged) == list(range(6))


def test_only_what_is_out_of_date_is_made_again(tmp_path, tiny_index, tiny_params):
    files = _prepare(tmp_path / "a", tiny_index, tiny_params)
    made, _ = _run(tiny_params, files, "WSGCN-P")
    paths = [files.arrays("propagate", "WSGCN-P", one) for one in TRAIN]
    paths[2].write_bytes(b"half")
    before = [path.stat().st_mtime_ns for path in paths]
    assert _run(tiny_params, files, "WSGCN-P")[0] == made
    assert [one != path.stat().st_mtime_ns for one, path in zip(before, paths)] == [i == 2 for i in range(6)]
    _run(changed(tiny_params, {"propagate.gcn-p.entropy_weight": 0}), files, "WSGCN-P")
    assert all(one != path.stat().st_mtime_ns for one, path in zip(before, paths))


@pytest.mark.parametrize("harm", ["missing", "broken"])
def test_a_broken_input_is_named_and_the_others_are_made(tmp_path, tiny_index, tiny_params, harm):
    files = _prepare(tmp_path / "a", tiny_index, tiny_params)
    path = files.arrays("cams", "I", "t1")
    path.unlink()
    if harm == "broken":
        path.write_bytes(b"half")
    with pytest.raises(StageError, match=r"1 of 6.*t1\.npz") as caught:
        _run(tiny_params, files, "IRNet")
    assert list(caught.value.failures) == ["t1"]
    names = [path.name for path in files.folder("propagate", "IRNet").iterdir()]
    assert sorted(names) == [f"{one}.npz" for one in TRAIN if one != "t1"]


def test_together_is_as_one_by_one_and_a_broken_one_keeps_its_place(tmp_path, tiny_index, tiny_params):
    alone, batch = (_prepare(tmp_path / name, tiny_index, tiny_params) for name in "ab")
    _run(tiny_params, alone, "WSGCN-I")
    images = tiny_index.split("train")
    batch.arrays("cams", "I", images[2].id).write_bytes(b"broken")
    make = _make_scores(tiny_params, batch, tiny_index, "WSGCN-I")
    (first,) = make(images[:1])
    assert isinstance(first, Done)
    when = make.path(images[0].id).stat().st_mtime_ns
    outcomes = make(images)
    assert outcomes[0] == first
    assert make.path(images[0].id).stat().st_mtime_ns == when
    assert isinstance(outcomes[2], DataError)
    assert all(isinstance(one, Done) for one in outcomes[1:2] + outcomes[3:])
    for image in [*images[:2], *images[3:]]:
        one, other = (load_record(files.arrays("propagate", "WSGCN-I", image.id), Scores) for files in (alone, batch))
        np.testing.assert_array_equal(one.partial_labels, other.partial_labels)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)


def test_too_small_a_gpu_is_one_line(tmp_path, tiny_index, tiny_params, monkeypatch):
    def exhaust(*given):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr("wsgcn.propagate.photograph.gcn_scores", exhaust)
    files = _prepare(tmp_path, tiny_index, tiny_params)
    with pytest.raises(UsageError, match=r"fewer runtime\.workers"):
        _make_scores(tiny_params, files, tiny_index, "WSGCN-P")(tiny_index.split("train"))


# ---------------------------------------------------------------- what a kind reads


@pytest.mark.parametrize("harm", ["broken", "missing"])
def test_a_walk_reads_no_photograph(tmp_path, tiny_voc, tiny_index, tiny_params, harm):
    whole, _ = _run(tiny_params, _prepare(tmp_path / "a", tiny_index, tiny_params), "PSA")
    for photo in (tiny_voc / "JPEGImages").iterdir():
        photo.unlink()
        if harm == "broken":
            photo.write_bytes(b"no picture")
    files = _prepare(tmp_path / "b", tiny_index, tiny_params)
    assert _run(tiny_params, files, "PSA")[0] == whole
    with pytest.raises(StageError, match=r"6 of 6.*t\d\.jpg is (missing|no whole picture)"):
        _run(tiny_params, files, "WSGCN-P")


class Seen(Propagation):
    """Keeps what it is given, and scores with the CAMs themselves."""

    reads_photo: ClassVar[bool] = False
    reads_affinity: ClassVar[bool] = False
    given: ClassVar[list] = []

    kind: Literal["seen"]

    def scores(self, photographs, device):
        self.given.extend(photographs)
        return [Scores.not_learned(one.class_ids, np.concatenate([one.cams[:1], one.cams])) for one in photographs]


def test_a_kind_is_given_what_it_declares_and_seeds_by_method_and_image(tmp_path, tiny_index, tiny_params):
    files = _prepare(tmp_path / "a", tiny_index, tiny_params)
    shutil.rmtree(files.root / "affinity")
    Seen.given.clear()
    method = replace(tiny_params.method("WSGCN-P"), name="Any-name", propagation=Seen(kind="seen"))
    params = _with(tiny_params, "methods", {"Any-name": tiny_params.model_dump()["methods"]["WSGCN-P"]})
    write_scores(params, files, method, None)
    assert [one.seed for one in Seen.given] == [seed_for(42, "Any-name", image_id) for image_id in TRAIN]
    assert all(one.affinity is None and one.rgb_u8 is None for one in Seen.given)
    cams = load_record(files.arrays("cams", "P", "t2"), Cams)
    assert Seen.given[2].class_ids.tolist() == [0, *cams.class_ids]
    np.testing.assert_array_equal(Seen.given[2].cams, cams.cams)
    assert read_table(files.losses("Any-name")) == []


# ---------------------------------------------------------------- saliency


def _with_saliency(params, folder, threshold=0.5, cam=1):
    return changed(
        params, {"propagate.gcn-i.partial_labels.saliency": {"folder": str(folder), "threshold": threshold, "cam": cam}}
    )


def _write_saliency(folder, images):
    """The left half of each photograph stands out."""
    folder.mkdir()
    for image in images:
        grey = np.zeros((image.height, image.width), np.uint8)
        grey[:, : image.width // 2] = 255
        Image.fromarray(grey).save(folder / f"{image.id}.png")


def test_saliency_says_where_partial_labels_are_background(tmp_path, tiny_index, tiny_params):
    folder, images = tmp_path / "saliency", tiny_index.split("train")
    _write_saliency(folder, images)
    params = _with_saliency(tiny_params, folder)
    assert params.propagate["gcn-i"].files() == (str(folder),)
    assert tiny_params.propagate["gcn-i"].files() == ()
    files = _prepare(tmp_path / "a", tiny_index, params)
    _run(params, files, "WSGCN-I")
    for image in images:
        labels = load_record(files.arrays("propagate", "WSGCN-I", image.id), Scores).partial_labels
        middle = labels.shape[1] // 2
        assert not (labels[:, : middle - 1] == 0).any()
        assert (labels[:, middle + 1 :] == 0).all()


def test_what_stands_out_does_so_also_in_cells_that_jut_out(tmp_path, tiny_index, tiny_params):
    folder, image = tmp_path / "saliency", tiny_index.split("train")[1]
    folder.mkdir()
    params = _with_saliency(tiny_params, folder)
    files = _prepare(tmp_path / "a", tiny_index, params)
    Image.new("L", (image.width, image.height), 255).save(folder / f"{image.id}.png")
    path, variant = files.arrays("affinity", "I", image.id), params.variant("I")
    stride = variant.affinity.train.stride
    assert image.height % stride
    assert image.width % stride
    save_record(path, replace(load_record(path, Affinity), stride=np.array(stride)), "whole cells")
    read = _make_scores(params, files, tiny_index, "WSGCN-I").read(image)
    assert read.saliency.shape == read.cams.shape[1:]
    assert (read.saliency == 1).all()


def test_a_certain_cam_is_unlabelled_where_nothing_stands_out(tmp_path, tiny_index, tiny_params):
    folder, image = tmp_path / "saliency", tiny_index.split("train")[0]
    folder.mkdir()
    Image.new("L", (image.width, image.height), 0).save(folder / f"{image.id}.png")
    labels = []
    for cam in (1, 0.5):
        params = _with_saliency(tiny_params, folder, cam=cam)
        files = _prepare(tmp_path / str(cam), tiny_index, params)
        maker = _make_scores(params, files, tiny_index, "WSGCN-I")
        labels.append(maker.compute(image).partial_labels)
    assert (labels[0] == 0).all()
    assert set(np.unique(labels[1])) == {0, 255}


def test_a_changed_map_makes_its_photograph_again_and_a_missing_one_is_named(tmp_path, tiny_index, tiny_params):
    folder = tmp_path / "saliency"
    _write_saliency(folder, tiny_index.split("train"))
    params = _with_saliency(tiny_params, folder)
    files = _prepare(tmp_path / "a", tiny_index, params)
    before, _ = _run(params, files, "WSGCN-I")
    with Image.open(folder / "t3.png") as grey:
        grey.point(lambda level: 255 - level).save(folder / "t3.png")
    after, _ = _run(params, files, "WSGCN-I")
    assert [name for name in before if before[name] != after[name]] == ["t3.npz"]
    (folder / "t3.png").unlink()
    with pytest.raises(StageError, match=r"1 of 6.*saliency/t3\.png is missing: make it, or set saliency: null"):
        _run(params, files, "WSGCN-I")


def test_maps_that_were_moved_make_nothing_again(tmp_path, tiny_index, tiny_params, monkeypatch):
    folder = tmp_path / "saliency"
    _write_saliency(folder, tiny_index.split("train"))
    params = _with_saliency(tiny_params, folder)
    files = _prepare(tmp_path / "a", tiny_index, params)
    before, _ = _run(params, files, "WSGCN-I")
    monkeypatch.setattr(type(params.propagate["gcn-i"]), "scores", None)
    moved = _with_saliency(tiny_params, folder.rename(tmp_path / "elsewhere"))
    assert _run(moved, files, "WSGCN-I")[0] == before


# ---------------------------------------------------------------- variants and methods of existing parts


def test_cams_of_another_grid_are_resized_to_the_affinitys(tmp_path, tiny_index, tiny_params):
    params = _with(
        tiny_params, "variants", {"X": {"cams": "psa", "affinity": "boundary", "after": "dataset/index.json"}}
    )
    own = {
        "GCN-X": {"variant": "X", "propagation": "gcn-i", "crf": "gcn", "segtrain": "deeplab"},
        "Walk-X": {"variant": "X", "propagation": "walk-i", "crf": "walk", "segtrain": "deeplab"},
    }
    params = _with(params, "methods", own)
    files = _prepare(tmp_path / "a", tiny_index, params)
    for name in own:
        _run(params, files, name)
    for image in tiny_index.split("train"):
        cams = load_record(files.arrays("cams", "X", image.id), Cams).cams
        affinity = load_record(files.arrays("affinity", "X", image.id), Affinity)
        grid = affinity.weights.shape[1:]
        assert cams.shape[1:] == grid_size(image.height, image.width, 8) != grid
        gcn, walk = (load_record(files.arrays("propagate", name, image.id), Scores) for name in own)
        assert gcn.scores.shape == walk.scores.shape == (len(cams) + 1, *grid)
        graph = adjacency(affinity.offsets, affinity.weights.astype(np.float32))
        boundary = affinity.boundary.astype(np.float32)
        place = Grid(grid, (image.height, image.width), 0)
        expected = random_walk_scores(resize_maps(cams, grid), boundary, graph, params.propagate["walk-i"], place)
        np.testing.assert_array_equal(walk.scores, expected)


def test_a_second_name_draws_anew_for_a_gcn_and_takes_a_walk_that_is_finished(
    tmp_path, tiny_index, tiny_params, monkeypatch
):
    names = tiny_params.model_dump()["methods"]
    params = _with(tiny_params, "methods", {"GCN-again": names["WSGCN-P"], "Walk-again": names["PSA"]})
    files = _prepare(tmp_path / "a", tiny_index, params)
    gcn, again = (_run(params, files, name)[0] for name in ("WSGCN-P", "GCN-again"))
    assert all(gcn[one] != again[one] for one in gcn)
    walk, _ = _run(params, files, "PSA")
    monkeypatch.setattr("wsgcn.propagate.walk.random_walk_scores", None)  # a second walk would fail
    assert _run(params, files, "Walk-again")[0] == walk


def test_two_entries_with_the_same_numbers_give_the_same_scores(tmp_path, tiny_index, tiny_params):
    """The name of an entry, unlike that of a method, decides nothing."""
    content = tiny_params.model_dump(mode="json")
    params = _with(tiny_params, "propagate", {"renamed": content["propagate"]["gcn-p"]})
    before, _ = _run(params, _prepare(tmp_path / "a", tiny_index, params), "WSGCN-P")
    renamed = _with(params, "methods", {"WSGCN-P": content["methods"]["WSGCN-P"] | {"propagation": "renamed"}})
    assert _run(renamed, _prepare(tmp_path / "b", tiny_index, params), "WSGCN-P")[0] == before


@each_method
def test_scores_have_the_place_of_the_graphs_grid(tmp_path, tiny_index, tiny_params, name):
    """A walk over whole cells starts from the means of the CAMs' pixels; the scores have the pixels a cell."""
    files = _prepare(tmp_path / "a", tiny_index, tiny_params)
    method, image = tiny_params.method(name), tiny_index.split("train")[1]
    graph, cams = (files.arrays(stage, method.variant.name, image.id) for stage in ("affinity", "cams"))
    record, stride = load_record(graph, Affinity), method.variant.affinity.train.stride
    size = (image.height, image.width)
    pixels = np.random.default_rng(0).random((len(image.class_ids), *size), dtype=np.float32)
    for marked, kept in ((0, ()), (stride, ("stride",))):
        save_record(graph, replace(record, stride=np.array(marked)), f"a{marked}")
        save_record(cams, Cams(np.array(image.class_ids), pixels), "pixels")
        _run(tiny_params, files, name)
        scores = load_record(files.arrays("propagate", name, image.id), Scores)
        assert int(scores.stride) == marked
        assert scores.scores.shape[1:] == record.weights.shape[1:]
        with np.load(files.arrays("propagate", name, image.id), allow_pickle=False) as arrays:
            assert tuple({"stride"} & set(arrays)) == kept
    if method.propagation.baseline:
        place = Grid(record.weights.shape[1:], size, stride)
        boundary, sparse = (
            record.boundary.astype(np.float32),
            adjacency(record.offsets, record.weights.astype(np.float32)),
        )
        expected = random_walk_scores(pixels, boundary, sparse, method.propagation, place)
        np.testing.assert_array_equal(scores.scores, expected)
