"""Exporting: resumed, refused, errors with names, the command."""

from __future__ import annotations

import json
import os

import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from tests.export.conftest import METHOD, PHOTOS, SIZE, files
from wsgcn.cli import app
from wsgcn.cli.export import FormatName
from wsgcn.errors import DataError, StageError, UsageError
from wsgcn.export import stage
from wsgcn.export.folder import LIST
from wsgcn.export.stage import FORMATS
from wsgcn.store.label_maps import save_label_map

each_format = pytest.mark.parametrize("form", FORMATS)


def times(folder):
    return {path: os.stat(path).st_ino for path in folder.rglob("*") if path.is_file() and path.name != LIST}


# ---------------------------------------------------------------- again


@each_format
def test_a_second_export_writes_nothing(project, form):
    project.validate()
    project.export(form)
    before, content = times(project.folder / "out"), files(project.folder / "out")
    project.export(form)
    assert times(project.folder / "out") == before
    assert files(project.folder / "out") == content


@each_format
def test_an_export_that_was_stopped_ends_as_if_it_was_not(project, form, monkeypatch):
    project.export(form, project.folder / "whole")
    written = []

    def killed(path, content):
        if len(written) == 4:
            raise KeyboardInterrupt
        written.append(path)
        real(path, content)

    real = stage.write_changed
    monkeypatch.setattr(stage, "write_changed", killed)
    with pytest.raises(KeyboardInterrupt):
        project.export(form)
    monkeypatch.undo()
    before = times(project.folder / "out")
    assert len(before) == 4
    project.export(form)
    after = times(project.folder / "out")
    assert {path: after[path] for path in before} == before
    whole = {name: content.replace(b"/whole", b"/out") for name, content in files(project.folder / "whole").items()}
    assert files(project.folder / "out") == whole


@each_format
def test_processes_export_as_one_does(project, form):
    for workers in (1, 2):
        project.export(form, project.folder / f"out{workers}", workers=workers)
    one, two = (files(project.folder / f"out{workers}") for workers in (1, 2))
    assert {name: content.replace(b"/out1", b"/out2") for name, content in one.items()} == two


def test_only_what_changed_is_written(project):
    project.export("voc")
    before = times(project.folder / "out")
    labels = project.labels["empty"]
    labels[0, 0] = 1
    save_label_map(project.label_map("empty"), labels, "mark")
    project.export("voc")
    after = times(project.folder / "out")
    assert [path.name for path in after if after[path] != before[path]] == ["empty.png"]


def test_files_of_a_photograph_that_left_the_list_go_and_those_of_others_stay(project):
    out = project.folder / "out"
    project.export("yolo")
    (out / "images/train/mine.jpg").write_bytes(b"mine")
    project.save([one for one in project.records if one.id != "empty"])
    project.export("yolo")
    assert not [name for name in files(out) if "empty" in name]
    assert (out / "images/train/mine.jpg").read_bytes() == b"mine"
    assert len(files(out)) == 2 * (len(PHOTOS) - 1) + 3


# ---------------------------------------------------------------- refused


def test_a_folder_of_others_is_refused(project):
    out = project.folder / "out"
    out.mkdir()
    project.export("png")  # an empty one is not
    for other in (project.folder / "photographs", project.folder):
        before = files(other)
        with pytest.raises(UsageError, match="holds other files: name an empty folder"):
            project.export("png", other)
        assert files(other) == before


def test_a_file_is_no_folder(project):
    (project.folder / "file").write_text("")
    for place in ("file", "file/below"):
        with pytest.raises(UsageError, match=r"file.* cannot be the folder of an export .*: name another one"):
            project.export("png", project.folder / place)


def test_another_format_or_method_is_refused(project):
    project.export("coco")
    before = files(project.folder / "out")
    with pytest.raises(UsageError, match=f"holds labels of {METHOD} as coco: name another folder"):
        project.export("yolo")
    for image_id, labels in project.labels.items():
        save_label_map(project.artifacts.label_map("crf", "IRNet", image_id), labels, "mark")
    with pytest.raises(UsageError, match=f"holds labels of {METHOD} as coco"):
        project.export("coco", method="IRNet")
    assert files(project.folder / "out") == before


def test_no_file_of_others_is_overwritten_in_the_folder_of_an_export(project):
    out = project.folder / "out"
    kept, left_out = project.records, [one for one in project.records if one.id != "empty"]
    project.save(left_out)
    project.export("png")
    (out / "empty.png").write_bytes(b"mine")
    project.save(kept)
    before = files(out)
    with pytest.raises(UsageError, match=r"empty.png is no file of the export: move it away"):
        project.export("png")
    assert files(out) == before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "is no list of an export"),
        ("{}", "is no list of an export"),
        ('{"format": "png", "method": "WSGCN-I", "files": [1]}', "is no list of an export"),
        ('{"format": "png", "method": "WSGCN-I", "files": ["../keep"]}', "outside of its folder"),
        ('{"format": "png", "method": "WSGCN-I", "files": ["/keep"]}', "outside of its folder"),
    ],
)
def test_a_broken_list_of_files_deletes_nothing(project, content, said):
    (project.folder / "keep").write_text("mine")
    (project.folder / "out").mkdir()
    (project.folder / "out" / LIST).write_text(content)
    with pytest.raises(DataError, match=said):
        project.export("png")
    assert (project.folder / "keep").exists()


# ---------------------------------------------------------------- bad data


@each_format
def test_missing_label_maps_are_all_named_and_nothing_is_written(project, form):
    for image_id in ("a b", "Bärbel"):
        project.label_map(image_id).unlink()
    with pytest.raises(StageError, match=f"2 of 5 .*a b.png is missing: run `dvc repro crf@{METHOD}`") as caught:
        project.export(form)
    assert set(caught.value.failures) == {"a b", "Bärbel"}
    assert not (project.folder / "out").exists()


@pytest.mark.parametrize("form", ["voc", "coco", "yolo"])
def test_what_does_not_fit_is_named_and_the_files_that_list_all_are_not_written(project, form):
    save_label_map(project.label_map("a b"), project.labels["a b"][1:], "mark")
    save_label_map(project.label_map("empty"), project.labels["empty"] + 4, "mark")
    project.label_map("turned").write_bytes(b"no label map")
    (project.root / PHOTOS["Bärbel"]).unlink()
    with pytest.raises(StageError) as caught:
        project.export(form)
    said = caught.value.failures
    assert set(said) == {"a b", "empty", "turned", "Bärbel"}
    assert (
        "a b.png is no label map of its photograph (it is 17 x 11 pixels, but its photograph is 17 x 12)" in said["a b"]
    )
    assert "holds class id" in said["empty"]
    assert "turned.png is no label map" in said["turned"]
    assert "Bärbel.png is missing" in said["Bärbel"]
    names = files(project.folder / "out")
    assert [name for name in names if "garden__c.d" in name]
    assert not {"data.yaml", "labels.txt", "annotations/instances_train.json"} & set(names)


def test_a_photograph_of_another_size_is_named(project):
    Image.new("RGB", SIZE).save(project.root / PHOTOS["a b"])
    with pytest.raises(StageError, match=r"1 of 5 .*a b.jpg is 12 x 17 pixels, but the index says 17 x 12"):
        project.export("coco")


# ---------------------------------------------------------------- the command


def run(project, monkeypatch, *words):
    monkeypatch.chdir(project.folder)
    (project.folder / "params.yaml").write_text(yaml.safe_dump(project.content, sort_keys=False))
    return CliRunner().invoke(app, ["export", *words])


def test_the_command_knows_every_format():
    assert [*FormatName] == [*FORMATS]


@each_format
def test_the_only_method_with_labels_needs_no_name(project, monkeypatch, form):
    project.validate()
    done = run(project, monkeypatch, "mine", "--format", form)
    assert done.exit_code == 0, done.output
    more = " and 1 of val" if FORMATS[form].validates else ""
    assert f"Photographs with labels of {METHOD}: 5 of train{more}, in mine" in done.output
    assert json.loads((project.folder / "mine" / LIST).read_text())["format"] == form


def test_a_name_is_asked_for_where_none_or_two_have_labels(project, monkeypatch):
    save_label_map(project.artifacts.label_map("crf", "IRNet", "a b"), project.labels["a b"], "mark")
    done = run(project, monkeypatch, "mine", "--format", "png")
    assert str(done.exception).startswith("there are label maps of WSGCN-I, IRNet: give --method NAME")
    assert run(project, monkeypatch, "mine", "--format", "png", "--method", METHOD).exit_code == 0
    assert isinstance(run(project, monkeypatch, "mine", "--format", "png", "--method", "none").exception, UsageError)
    for path in (project.artifacts.root / "crf").rglob("*.png"):
        path.unlink()
    done = run(project, monkeypatch, "mine", "--format", "png")
    assert str(done.exception) == "there is no label map yet: give --method NAME, after `dvc repro crf@NAME`"


def test_an_unknown_format_is_wrong_use(project, monkeypatch):
    done = run(project, monkeypatch, "mine", "--format", "kitti")
    assert done.exit_code == 2
    assert not (project.folder / "mine").exists()
