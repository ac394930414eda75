"""Class activation maps of another method: imported, and then what the first stages need."""

from __future__ import annotations

import os
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

from tests import chain
from tests.conftest import TINY_CLASSES, changed
from wsgcn import cli
from wsgcn.cams.imported_maps import NOTE, SLACK, require_shape
from wsgcn.cams.importing import import_cams
from wsgcn.cams.layouts import LAYOUTS
from wsgcn.cli.cams_import import FormatName
from wsgcn.errors import DataError, StageError, UsageError
from wsgcn.ops.resize import grid_size, resize_maps
from wsgcn.params import load_params, parse_params
from wsgcn.stages import write_code
from wsgcn.store.files import read_json
from wsgcn.store.index import load_index, save_index
from wsgcn.store.label_maps import load_label_map
from wsgcn.store.paths import Artifacts
from wsgcn.store.records import Cams, load_record

FORMATS = tuple(LAYOUTS)


def maps_of(image, size):
    """``(K-1, *size)``: a blob for each class, with negative values and a maximum of its own."""
    rows, columns = np.mgrid[: size[0], : size[1]] / np.reshape(size, (2, 1, 1))
    places = [(0.3 + 0.2 * one, 0.25 * one) for one in image.class_ids]
    return np.stack([one * 3 - 20 * ((rows - y) ** 2 + (columns - x) ** 2) for one, (y, x) in enumerate(places, 1)])


def content_of(layout, image):
    """What a project saves of a photograph, in its public layout."""
    size = (image.height, image.width)
    fine = maps_of(image, size).astype(np.float32)
    if layout == "irnet":
        cam = torch.from_numpy(maps_of(image, grid_size(*size, 4))).float()
        return {"keys": torch.tensor(image.class_ids) - 1, "cam": cam, "high_res": fine}
    if layout == "psa":
        return {one - 1: fine[place] for place, one in enumerate(image.class_ids)}
    return {TINY_CLASSES[one]: fine[place] for place, one in enumerate(image.class_ids)}


def save(path, layout, content):
    if layout == "npz":
        np.savez_compressed(path, **content)
    else:
        np.save(path, content, allow_pickle=True)


@pytest.fixture
def write(tmp_path, tiny_index):
    """Writes what a project would: a file for each photograph, those of another list too."""

    def write(layout):
        folder = tmp_path / f"from-{layout}"
        folder.mkdir()
        for image in tiny_index.images:
            save(folder / f"{image.id}{LAYOUTS[layout].suffix}", layout, content_of(layout, image))
        return folder

    return write


@pytest.fixture
def params(tiny_params):
    """With a variant and two methods on imported maps, whose boundary network starts from new weights."""
    content = tiny_params.model_dump(mode="json")
    content["cams"]["seam"] = {"kind": "imported", "train": None, "infer": {"folder": "imported/seam", "stride": 4}}
    content["affinity"]["boundary"]["train"]["weights"] = None
    content["variants"]["seam"] = {"cams": "seam", "affinity": "boundary", "after": "dataset/index.json"}
    content["methods"]["WSGCN-seam"] = {"variant": "seam", "propagation": "gcn-i", "crf": "gcn", "segtrain": "deeplab"}
    content["methods"]["walk-seam"] = {"variant": "seam", "propagation": "walk-i", "crf": "walk", "segtrain": "deeplab"}
    return parse_params(content, "test")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where the project has the imported maps; we stand in the project."""
    monkeypatch.chdir(tmp_path)
    return (tmp_path / "imported" / "seam").relative_to(tmp_path)


# ---------------------------------------------------------------- what is imported


@pytest.mark.parametrize("layout", FORMATS)
def test_maps_are_imported_as_they_are_clipped_and_divided_by_their_maximum(write, params, fresh, folder, layout):
    note = import_cams(params, fresh, write(layout), layout, folder)
    images = load_index(fresh.index).split("train")
    assert {path.name for path in folder.iterdir()} == {NOTE, *(f"{image.id}.npz" for image in images)}
    assert note == read_json(folder / NOTE)
    assert (note["photographs"], note["format"], note["classes"]) == (6, layout, [*TINY_CLASSES])
    for image in images:
        found = load_record(folder / f"{image.id}.npz", Cams)
        assert found.class_ids.tolist() == [*image.class_ids]
        sizes = [(image.height, image.width)]
        sizes = [grid_size(*sizes[0], 4), *sizes] if layout == "irnet" else sizes
        for maps, size in zip((found.cams, found.high_res), sizes, strict=False):
            expected = maps_of(image, size).clip(0)
            np.testing.assert_allclose(maps, expected / expected.max(axis=(1, 2), keepdims=True), rtol=0, atol=1e-6)
        assert bool(found.high_res.size) == (layout == "irnet")


@pytest.mark.parametrize("layout", FORMATS)
def test_a_second_import_writes_the_same_bytes(write, params, fresh, folder, layout, tmp_path):
    source = write(layout)
    import_cams(params, fresh, source, layout, folder)
    first, when = chain.contents(folder), chain.times(folder)
    import_cams(params, fresh, source, layout, folder)
    assert chain.contents(folder) == first
    now = chain.times(folder)
    assert {name for name in now if now[name] != when[name]} == {NOTE}, "what is there already is left alone"
    elsewhere = changed(params, {"runtime.store": str(tmp_path / "another"), "runtime.workers": 2})
    import_cams(elsewhere, fresh, source, layout, folder.with_name("again"))
    assert chain.contents(folder.with_name("again")) == first


def test_clip_es_has_maps_of_every_pixel_alone(write, params, fresh, folder, tiny_index):
    source = write("irnet")
    for image in tiny_index.images:
        content = content_of("irnet", image)
        half = content["high_res"].astype(np.float16)
        save(source / f"{image.id}.npy", "irnet", {"keys": content["keys"].numpy(), "attn_highres": half})
    import_cams(params, fresh, source, "irnet", folder)
    image = tiny_index.images[2]
    found = load_record(folder / f"{image.id}.npz", Cams)
    assert found.cams.shape == (2, image.height, image.width)
    assert found.high_res.size == 0


def test_the_order_of_the_classes_in_a_file_does_not_matter(write, params, fresh, folder, tiny_index):
    source = write("psa")
    import_cams(params, fresh, source, "psa", folder)
    first = {path: load_record(path, Cams).cams for path in folder.glob("*.npz")}
    for image in tiny_index.images:
        save(source / f"{image.id}.npy", "psa", dict(reversed(content_of("psa", image).items())))
    import_cams(params, fresh, source, "psa", folder)
    assert len(first) == 6
    for path, maps in first.items():
        np.testing.assert_array_equal(load_record(path, Cams).cams, maps)


# ---------------------------------------------------------------- what is refused, by name


def spoilt(layout, image, how):
    """What a project would save of a photograph, with one thing wrong."""
    content = content_of(layout, image)
    first, *_ = [key for key in content if key not in ("keys", "cam")]
    if how == "nan":
        content[first][0, ..., 3] = np.nan
    elif how == "turned":
        content = {key: value if key == "keys" else np.swapaxes(value, -1, -2) for key, value in content.items()}
    elif how == "lacking":
        content = content_of(layout, replace(image, class_ids=image.class_ids[:1]))
    elif how == "more":
        content = content_of(layout, replace(image, class_ids=(1, 2)))
    elif how == "unknown":
        if layout == "irnet":
            return content | {"keys": content["keys"] + 7}
        return {9 if layout == "psa" else "zebra": content[first]}
    return content


WRONG = {
    "t0": ("nan", r"t0\.np[yz] has numbers that are not finite in the map of disc"),
    "t1": ("more", r"t1\.np[yz] has a map of disc: by its tags the photograph shows cross"),
    "t2": ("lacking", r"t2\.np[yz] lacks cross: by its tags the photograph shows disc, cross"),
    "t3": (
        "unknown",
        r"t3\.np[yz] (has a map of class [79]: the dataset's are numbered 0 to 1|lacks disc and has a map of zebra)",
    ),
    "t4": ("turned", r"t4\.np[yz] has maps of 49 x 64, the photograph 64 x 49|t4\.npy has maps of 13 x 16, the photo"),
}


@pytest.mark.parametrize("layout", FORMATS)
def test_everything_that_is_wrong_is_named_and_the_rest_is_imported(write, params, fresh, folder, tiny_index, layout):
    source, suffix = write(layout), LAYOUTS[layout].suffix
    import_cams(params, fresh, source, layout, folder)
    for image in tiny_index.images:
        if image.id in WRONG:
            save(source / f"{image.id}{suffix}", layout, spoilt(layout, image, WRONG[image.id][0]))
    with pytest.raises(StageError) as caught:
        import_cams(params, fresh, source, layout, folder)
    assert caught.value.failures.keys() == WRONG.keys()
    for name, (_, said) in WRONG.items():
        assert re.search(said, caught.value.failures[name]), caught.value.failures[name]
    assert "\n" not in str(caught.value)
    assert [path.name for path in folder.iterdir()] == ["t5.npz"], "nothing of the first import passes for the second's"
    with pytest.raises(DataError, match="seam holds no whole import: run `wsgcn cams-import`"):
        chain.run_stage("cams", "seam", params, fresh)


@pytest.mark.parametrize("layout", FORMATS)
def test_missing_and_broken_files_are_named(write, params, fresh, folder, layout):
    source, suffix = write(layout), LAYOUTS[layout].suffix
    (source / f"t1{suffix}").unlink()
    (source / f"t2{suffix}").write_bytes(b"no maps")
    with pytest.raises(StageError) as caught:
        import_cams(params, fresh, source, layout, folder)
    assert caught.value.failures.keys() == {"t1", "t2"}
    assert f"t1{suffix} is missing" in caught.value.failures["t1"]
    assert f"t2{suffix} cannot be read" in caught.value.failures["t2"]


@pytest.mark.parametrize(
    ("layout", "content", "said"),
    [
        ("irnet", {0: np.ones((47, 63))}, r"is not IRNet's \(keys, and cam or high_res\): it has 0"),
        ("irnet", {"keys": np.array([1, 1]), "cam": np.ones((2, 12, 16))}, "has two maps of cross"),
        ("irnet", {"keys": np.array([1]), "cam": np.ones((2, 12, 16))}, r"\(2, 12, 16\) is not \(1 classes, rows, col"),
        ("psa", {"keys": np.array([1]), "cam": np.ones((1, 12, 16))}, r"is not PSA's \(a map by number of class\)"),
        ("psa", {}, "it has no array"),
        ("psa", {1: np.ones(16)}, r"no map of rows and columns: cross \(16,\)"),
        ("psa", {1: np.array(["x"])}, "cross is of <U1|an array of type 'U1'"),
        ("npz", {}, "has no array"),
        ("npz", {"cross": np.array([["x"]])}, "cross is of <U1, not of numbers"),
        ("npz", {"cross": np.ones((12, 16)), "disc": np.ones((6, 8))}, "maps of several sizes"),
        ("npz", {"cross": np.full((12, 16), 1e300)}, "not finite in the map of cross"),
        ("npz", {"cross": np.ones((0, 16))}, "has maps of 0 x 16"),
        ("npz", {"cross": np.array([[{}]])}, "cannot be read"),
    ],
)
def test_another_layout_is_refused(write, params, fresh, folder, layout, content, said):
    source = write(layout)
    path = source / f"t1{LAYOUTS[layout].suffix}"
    if layout == "npz":
        np.savez(path, allow_pickle=True, **content)
    else:
        save(path, layout, content)
    with pytest.raises(StageError, match=said):
        import_cams(params, fresh, source, layout, folder)


def test_an_archive_that_unpacks_to_too_much_is_refused_unread(write, params, fresh, folder, monkeypatch):
    monkeypatch.setattr("wsgcn.store.npz.LARGEST", 1000)
    source = write("npz")
    np.savez_compressed(source / "t1.npz", cross=np.zeros((120, 160)))
    with pytest.raises(StageError, match=r"t1\.npz cannot be read \(unpacked it has 153728 bytes, the file \d{3}\)"):
        import_cams(params, fresh, source, "npz", folder)


def test_a_harmful_file_is_refused_and_not_run(write, params, fresh, folder, tmp_path):
    class Harm:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'it-was-run'}",)

    source = write("psa")
    save(source / "t3.npy", "psa", {0: Harm()})
    with pytest.raises(StageError, match=r"t3: .*it asks for posix\.system, which no array needs"):
        import_cams(params, fresh, source, "psa", folder)
    assert not (tmp_path / "it-was-run").exists()


@pytest.mark.parametrize(
    ("size", "fits"),
    [
        ((375, 500), True),
        ((94, 125), True),
        ((24, 32), True),  # IRNet's cells of 16 pixels
        ((47, 63), True),
        ((26, 32), True),
        ((27, 32), False),
        ((500, 375), False),
        ((375, 375), False),
        ((0, 5), False),
    ],
)
def test_maps_of_any_size_fit_that_have_the_photographs_shape(tmp_path, size, fits):
    assert SLACK == 2
    maps = np.ones((1, *size), np.float32)
    if fits:
        require_shape(tmp_path, maps, (375, 500))
    else:
        with pytest.raises(DataError, match="another shape"):
            require_shape(tmp_path, maps, (375, 500))


def test_files_that_no_import_wrote_are_not_touched(write, params, fresh, folder):
    folder.mkdir(parents=True)
    np.savez(folder / "mine.npz", a=np.ones(2))
    with pytest.raises(UsageError, match=r"holds mine\.npz, which no import wrote"):
        import_cams(params, fresh, write("psa"), "psa", folder)
    with pytest.raises(UsageError, match="nowhere is no folder"):
        import_cams(params, fresh, folder / "nowhere", "psa", folder)
    with pytest.raises(UsageError, match="is where an import is kept"):
        import_cams(params, fresh, folder.absolute(), "npz", folder)
    assert [path.name for path in folder.iterdir()] == ["mine.npz"]


# ---------------------------------------------------------------- the pipeline on imported maps


@pytest.mark.parametrize("layout", FORMATS)
def test_the_stage_puts_the_maps_onto_its_grid(write, params, fresh, folder, layout):
    import_cams(params, fresh, write(layout), layout, folder)
    for stride in (1, 4, 8):
        other = changed(params, {"cams.seam.infer.stride": stride})
        for stage in ("cams-train", "cams"):
            chain.run_stage(stage, "seam", other, fresh)
        for image in load_index(fresh.index).split("train"):
            size = (image.height, image.width)
            record = load_record(fresh.arrays("cams", "seam", image.id), Cams)
            source = grid_size(*size, 4) if layout == "irnet" and stride != 1 else size
            expected = resize_maps(maps_of(image, source).clip(0).astype(np.float32), grid_size(*size, stride))
            expected /= expected.max(axis=(1, 2), keepdims=True)
            np.testing.assert_allclose(record.cams, expected, rtol=0, atol=1e-5)
            assert record.cams.max(axis=(1, 2)).tolist() == [1] * len(image.class_ids)
            assert record.finest.shape == (len(image.class_ids), *size)


def test_coarse_maps_are_not_enlarged_to_pixels(write, params, fresh, folder, tiny_index):
    source = write("npz")
    for image in tiny_index.images:
        maps = maps_of(image, grid_size(image.height, image.width, 16))
        np.savez(source / f"{image.id}.npz", **{TINY_CLASSES[one]: a for one, a in zip(image.class_ids, maps)})
    import_cams(params, fresh, source, "npz", folder)
    chain.run_stage("cams", "seam", params, fresh)
    record = load_record(fresh.arrays("cams", "seam", "t0"), Cams)
    assert record.cams.shape == (1, 12, 16)
    assert record.high_res.size == 0


def test_imported_maps_become_pseudo_labels(write, params, fresh, folder):
    import_cams(params, fresh, write("irnet"), "irnet", folder)
    for stage in ("cams-train", "cams", "affinity-train", "affinity"):
        chain.run_stage(stage, "seam", params, fresh)
    for method in ("WSGCN-seam", "walk-seam"):
        for stage in ("propagate", "crf"):
            chain.run_stage(stage, method, params, fresh)
        for image in load_index(fresh.index).split("train"):
            labels = load_label_map(fresh.label_map("crf", method, image.id))
            assert labels.shape == (image.height, image.width)
            assert {*np.unique(labels)} <= {0, *image.class_ids}
        scores = chain.run_stage("evaluate-labels", method, params, fresh)
        assert 0 <= scores["pseudo_miou_crf"] <= 1


def test_only_photographs_whose_maps_changed_are_done_again(write, params, fresh, folder, tiny_index):
    source = write("psa")
    import_cams(params, fresh, source, "psa", folder)
    chain.run_stage("cams", "seam", params, fresh)
    when = chain.times(fresh.folder("cams", "seam"))
    save(source / "t3.npy", "psa", {0: np.eye(48, 64)})
    import_cams(params, fresh, source, "psa", folder)
    chain.run_stage("cams", "seam", params, fresh)
    now = chain.times(fresh.folder("cams", "seam"))
    assert [name for name in now if now[name] != when[name]] == ["t3.npz"]


def test_dvc_sees_a_changed_import(write, params, fresh, folder, tmp_path):
    """What ``dvc.yaml`` says that the stages depend on has other content then."""
    import_cams(params, fresh, write("psa"), "psa", folder)
    artifacts = Artifacts(tmp_path / "artifacts")
    file = tmp_path / "params.yaml"
    file.write_text(yaml.safe_dump(params.model_dump(mode="json")))
    deps = {(one.stage, one.name): one.deps for one in chain.entries(params=file)}

    def noted():
        write_code(params, artifacts)
        text = {one: (tmp_path / deps[one][0]).read_text() for one in deps if one[0] in ("cams-train", "cams")}
        assert "imported/seam" in text["cams", "seam"]
        return text

    before = noted()
    assert noted() == before
    (folder / "t0.npz").write_bytes((folder / "t3.npz").read_bytes())
    after = noted()
    assert {one for one in before if after[one] != before[one]} == {("cams-train", "seam"), ("cams", "seam")}


def test_an_import_for_other_classes_or_labels_is_refused(write, params, fresh, folder, tiny_index):
    import_cams(params, fresh, write("psa"), "psa", folder)
    save_index(fresh.index, replace(tiny_index, class_names=("background", "cross", "disc")))
    with pytest.raises(DataError, match="was imported for other classes: run `wsgcn cams-import` again"):
        chain.run_stage("cams", "seam", params, fresh)
    images = tuple(replace(one, class_ids=(1, 2)) if one.id == "t0" else one for one in tiny_index.images)
    save_index(fresh.index, replace(tiny_index, images=images))
    with pytest.raises(StageError, match=r"t0\.npz was imported for other labels") as caught:
        chain.run_stage("cams", "seam", params, fresh)
    assert caught.value.failures.keys() == {"t0"}


@pytest.mark.parametrize("start", ["affinity.boundary.train.weights", "segtrain.deeplab.weights"])
def test_no_network_can_start_as_the_classifier_that_is_not_there(params, start):
    with pytest.raises(UsageError, match=r"cams\.seam trains none: name a file or null") as caught:
        changed(params, {start: "cams"})
    assert start in str(caught.value)


# ---------------------------------------------------------------- the command


def test_the_formats_are_those_of_the_command():
    assert [*FormatName] == [*LAYOUTS]


@pytest.fixture
def project(tmp_path, monkeypatch, tiny_params, tiny_index):
    """A project of the shipped methods, the one we stand in; no network of it starts as a classifier."""
    monkeypatch.chdir(tmp_path)
    free = changed(tiny_params, {"affinity.boundary.train.weights": None, "affinity.affinitynet.train.weights": None})
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(free.model_dump(mode="json")))
    save_index(Artifacts().index, tiny_index)
    return tmp_path


def run(*words):
    return CliRunner().invoke(cli.app, ["cams-import", *map(str, words)])


def test_the_command_says_what_to_add_to_params(project, write):
    source = write("psa")
    done = run(source, "--format", "psa", "--name", "seam")
    assert done.exit_code == 0, done.output
    assert "Maps of 6 photographs are in imported/seam" in done.stdout
    assert "dvc repro evaluate-labels@WSGCN-seam" in done.stdout
    assert done.stderr.count("warning") == 0
    content = yaml.safe_load((project / "params.yaml").read_text())
    for section, entries in yaml.safe_load(done.stdout.partition(":\n\n")[2]).items():
        content[section] |= entries
    (project / "params.yaml").write_text(yaml.safe_dump(content))
    params = load_params(project / "params.yaml")
    assert params.cams["seam"].infer.model_dump() == {"folder": "imported/seam", "stride": 4}
    assert params.method("WSGCN-seam").propagation_name == "gcn-i"
    chain.run_stage("cams", "seam", params, Artifacts())
    done = run(source, "--format", "psa", "--name", "seam")
    assert "params.yaml uses them as cams.seam: dvc repro runs what depends on it" in done.stdout
    assert "variants" not in done.stdout


def test_the_command_warns_of_networks_that_would_start_as_a_classifier(project, write, tiny_params):
    (project / "params.yaml").write_text(yaml.safe_dump(tiny_params.model_dump(mode="json")))
    done = run(write("npz"), "--format", "npz")
    assert done.exit_code == 0
    assert "imported/from-npz" in done.stdout
    warning = done.stderr.splitlines()[-1]
    assert warning.startswith("warning: with these lines params.yaml needs another change: affinity.boundary.train.we")
    assert warning.endswith("cams.from-npz trains none: name a file or null")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("irnet", "has another CAM source called irnet"),
        ("P", "has a variant or method called P"),
        ("../x", "'../x' cannot be a name"),
        ("1e5", "'1e5' cannot be a name"),
    ],
)
def test_a_name_that_cannot_be_is_refused_before_anything_is_made(project, write, name, said):
    done = run(write("npz"), "--format", "npz", "--name", name)
    assert isinstance(done.exception, UsageError)
    assert said in str(done.exception)
    assert not (project / "imported").exists()
