"""What somebody put among the files of the stages stops dvc repro before it is deleted."""

import os

import numpy as np
import pytest
from PIL import Image

from wsgcn.errors import DataError
from wsgcn.store.foreign import refuse_foreign_files
from wsgcn.store.label_maps import save_label_map
from wsgcn.store.paths import Artifacts


@pytest.fixture
def artifacts(tmp_path):
    """Pseudo labels that a stage finished."""
    artifacts = Artifacts(tmp_path / "artifacts")
    for name in ("a", "b"):
        save_label_map(artifacts.label_map("crf", "PSA", name), np.zeros((3, 4), np.uint8), "0" * 32)
    artifacts.summary("crf", "PSA").write_text("{}")
    refuse_foreign_files(artifacts)
    return artifacts


def edit(path, later=10):
    Image.new("P", (4, 3)).save(path)
    when = path.parent.stat().st_mtime + later
    os.utime(path, (when, when))


@pytest.mark.parametrize("name", ["a", "new"])
def test_a_label_map_that_was_edited_or_added_stops(artifacts, name):
    path = artifacts.label_map("crf", "PSA", name)
    edit(path)
    before = path.read_bytes()
    with pytest.raises(DataError, match=f"{name}.png were put here by hand or are damaged") as caught:
        refuse_foreign_files(artifacts)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


def test_more_than_three_are_counted(artifacts):
    for number in range(5):
        edit(artifacts.label_map("crf", "PSA", f"n{number}"))
    with pytest.raises(DataError, match=r"n2\.png and 2 more were put"):
        refuse_foreign_files(artifacts)


def test_arrays_without_a_fingerprint_stop_too(artifacts):
    path = artifacts.arrays("cams", "P", "a")
    path.parent.mkdir(parents=True)
    np.savez(path, cams=np.zeros(3))
    with pytest.raises(DataError, match=r"cams/P/a\.npz"):
        refuse_foreign_files(artifacts)


def test_what_a_killed_stage_left_is_ours(artifacts):
    save_label_map(artifacts.label_map("crf", "IRNet", "a"), np.zeros((3, 4), np.uint8), "1" * 32)
    (artifacts.folder("crf", "IRNet") / ".b.png.x.part").write_bytes(b"half")
    refuse_foreign_files(artifacts)


def test_a_project_without_artifacts_has_none(tmp_path):
    refuse_foreign_files(Artifacts(tmp_path / "none"))
