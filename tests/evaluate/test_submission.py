"""The archive for VOC's test server: layout, palette, checks, resuming."""

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import chain
from tests.conftest import changed
from tests.evaluate.project import read_mask
from wsgcn.errors import DataError, StageError, UsageError
from wsgcn.evaluate import submission
from wsgcn.store.index import load_index, save_index
from wsgcn.store.label_maps import load_label_map, save_label_map
from wsgcn.vocabulary import VOC_CLASSES, palette

PREFIX = "results/VOC2012/Segmentation/comp6_test_cls"


@pytest.fixture
def test_list(artifacts, wsgcn_i, tiny_index, tiny_voc):
    """The validation photographs stand in list ``test``, in another order; they have no annotations."""
    save_index(artifacts.index, replace(tiny_index, class_names=VOC_CLASSES))
    ids = [image.id for image in tiny_index.split("val")][::-1]
    (tiny_voc / "ImageSets" / "Segmentation" / "test.txt").write_text("".join(f"{one}\n" for one in ids))
    for one in ids:
        (tiny_voc / "Annotations" / f"{one}.xml").unlink()
    return ids


@pytest.fixture
def params(tiny_params):
    return changed(tiny_params, {"dataset.classes": VOC_CLASSES, "evaluate.classes": VOC_CLASSES})


def folder(artifacts):
    return artifacts.folder("submission", "WSGCN-I") / "test"


def test_archive_holds_a_palette_png_of_class_ids_for_each_photograph(
    params, artifacts, wsgcn_i, test_list, tiny_index, tmp_path
):
    file = tmp_path / "results.tgz"
    assert submission.write_submission(params, artifacts, wsgcn_i, "test", file) == len(test_list)
    with tarfile.open(file) as archive:
        assert archive.getnames() == [f"{PREFIX}/{one}.png" for one in test_list]
        for image in tiny_index.split("val"):
            with Image.open(io.BytesIO(archive.extractfile(f"{PREFIX}/{image.id}.png").read())) as png:
                assert (png.mode, png.size) == ("P", (image.width, image.height))
                assert png.getpalette() == palette()[: len(png.getpalette())]
                assert png.info == {}
                labels = np.array(png)
            truth = read_mask(tiny_index, image)
            assert (labels == truth)[truth != 255].mean() > 0.9  # the stand-in for a network knows the colours
            assert np.array_equal(labels, load_label_map(folder(artifacts) / f"{image.id}.png"))
    assert not artifacts.metrics("evaluate", "WSGCN-I").exists()


def test_second_run_keeps_what_is_done_and_gives_the_same_bytes(params, artifacts, wsgcn_i, test_list, tmp_path):
    submission.write_submission(params, artifacts, wsgcn_i, "test", tmp_path / "one.tgz")
    (folder(artifacts) / "of-another-list.png").touch()
    (folder(artifacts) / f"{test_list[0]}.png").unlink()
    before = chain.times(folder(artifacts))
    submission.write_submission(params, artifacts, wsgcn_i, "test", tmp_path / "two.tgz")
    after = chain.times(folder(artifacts))
    assert {name for name in after if after[name] != before.get(name)} == {f"{test_list[0]}.png"}
    assert "of-another-list.png" not in after
    assert (tmp_path / "one.tgz").read_bytes() == (tmp_path / "two.tgz").read_bytes()


def test_other_settings_of_the_network_make_other_labels(params, artifacts, wsgcn_i, test_list, tmp_path):
    submission.write_submission(params, artifacts, wsgcn_i, "test", tmp_path / "one.tgz")
    before = chain.times(folder(artifacts))
    submission.write_submission(
        changed(params, {"evaluate.seg_flip": False}), artifacts, wsgcn_i, "test", tmp_path / "two.tgz"
    )
    assert all(before[name] != time for name, time in chain.times(folder(artifacts)).items())


# ---------------------------------------------------------------- refused


def test_only_vocs_classes_are_for_vocs_server(tiny_params, artifacts, wsgcn_i, tmp_path):
    with pytest.raises(UsageError, match="knows VOC's 21 classes"):
        submission.write_submission(tiny_params, artifacts, wsgcn_i, "val", tmp_path / "results.tgz")


def test_missing_list_is_named_with_what_to_do(params, artifacts, wsgcn_i, test_list, tmp_path):
    with pytest.raises(DataError, match="lists there are test, train, trainval, val; add VOC's test download"):
        submission.write_submission(params, artifacts, wsgcn_i, "test2", tmp_path / "results.tgz")


@pytest.mark.parametrize("split", ["../Main/test", "a/b", ".hidden"])
def test_name_of_a_list_is_no_path(params, artifacts, wsgcn_i, split, tmp_path):
    save_index(artifacts.index, replace(load_index(artifacts.index), class_names=VOC_CLASSES))
    with pytest.raises(DataError, match="is no name of a split list"):
        submission.write_submission(params, artifacts, wsgcn_i, split, tmp_path / "results.tgz")


def test_all_missing_photographs_are_named(params, artifacts, wsgcn_i, test_list, tiny_voc, tmp_path):
    (tiny_voc / "JPEGImages" / f"{test_list[0]}.jpg").unlink()
    (tiny_voc / "JPEGImages" / f"{test_list[1]}.jpg").write_bytes(b"no photograph")
    with pytest.raises(StageError) as caught:
        submission.write_submission(params, artifacts, wsgcn_i, "test", tmp_path / "results.tgz")
    assert set(caught.value.failures) == set(test_list[:2])


def test_broken_photograph_leaves_the_others_done_and_no_archive(
    params, artifacts, wsgcn_i, test_list, tiny_voc, tmp_path
):
    path = tiny_voc / "JPEGImages" / f"{test_list[1]}.jpg"
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(StageError) as caught:
        submission.write_submission(params, artifacts, wsgcn_i, "test", tmp_path / "results.tgz")
    assert set(caught.value.failures) == {test_list[1]}
    assert sorted(chain.times(folder(artifacts))) == sorted(f"{one}.png" for one in test_list if one != test_list[1])
    assert not (tmp_path / "results.tgz").exists()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda labels: labels[1:], "pixels, but its photograph is"),
        (lambda labels: labels + 21, "holds class id"),
        (lambda labels: np.where(labels == 0, 255, labels).astype(np.uint8), "leaves pixels without a class"),
    ],
)
def test_label_maps_are_checked_before_anything_is_written(
    spoil, message, params, artifacts, wsgcn_i, test_list, tmp_path, tiny_index
):
    submission.write_submission(params, artifacts, wsgcn_i, "test", tmp_path / "good.tgz")
    path = folder(artifacts) / f"{test_list[0]}.png"
    save_label_map(path, spoil(load_label_map(path)), "spoilt")
    images = [image for image in load_index(artifacts.index).images if image.id in test_list]
    with pytest.raises(DataError, match=message):
        submission.write_archive(tmp_path / "bad.tgz", "comp6_test_cls", images, folder(artifacts))
    path.unlink()
    with pytest.raises(DataError, match="is missing"):
        submission.write_archive(tmp_path / "bad.tgz", "comp6_test_cls", images, folder(artifacts))
    assert not Path(tmp_path / "bad.tgz").exists()
