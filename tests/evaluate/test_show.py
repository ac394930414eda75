"""``wsgcn show``: every tile is there, in order, and is what the stages wrote."""

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from tests.conftest import changed
from tests.evaluate.project import fake_load, fake_predict, read_mask
from wsgcn import cli
from wsgcn.errors import DataError, UsageError
from wsgcn.evaluate.evaluation import Evaluation
from wsgcn.evaluate.show import TILE_HEIGHT, draw_way, find_photograph, find_way
from wsgcn.evaluate.truth import find_masks
from wsgcn.nets.prediction import labels_of
from wsgcn.ops.panels import heat_overlay, label_overlay
from wsgcn.ops.resize import resize_maps, upsample_labels
from wsgcn.propagate.shown import steps_shown
from wsgcn.store.label_maps import load_label_map
from wsgcn.store.photos import load_photo
from wsgcn.store.records import Affinity, Cams, Scores, load_record

GCN = ["GCN: fg + bg losses", "+ entropy (weight 2)", "+ Laplacian (weight 0.5)"]


@pytest.fixture
def image(tiny_index):
    """A photograph on which the labels of all steps differ."""
    return find_photograph(tiny_index, "train", "t4")


@pytest.fixture
def way_of(tiny_params, tiny_index, made, image, tmp_path):
    """The way of the photograph, or of another one, through a method, with the masks of a folder."""

    def find(name, masks=tiny_params.evaluate.masks, image=image):
        method = tiny_params.method(name)
        found = find_masks(tmp_path / masks, [image])
        evaluation = Evaluation(tiny_params, made, method, tiny_index, "show", found)
        return find_way(evaluation, image, steps_shown(tiny_params, made, method, tiny_index, image))

    return find


@pytest.fixture
def trained(made, fake_network):
    """There is a network of WSGCN-I."""
    checkpoint = made.checkpoint("segtrain", "WSGCN-I")
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"WSGCN-I")
    return checkpoint


def captions(way):
    return [caption for caption, _ in way.tiles()]


def test_all_tiles_are_there_in_order(way_of, trained, tiny_index):
    both = find_photograph(tiny_index, "train", "t2")
    before = ["photograph", "CAM: disc", "CAM: cross", "boundary", "partial labels", "random walk"]
    after = ["after CRF", "segmentation network", "ground truth"]
    assert captions(way_of("WSGCN-I", image=both)) == [*before, *GCN, *after]


def test_tiles_are_what_the_stages_wrote(way_of, trained, made, tiny_params, tiny_index, image):
    rgb_u8, size = load_photo(tiny_index.photo_path(image)), (image.height, image.width)
    shown = dict(way_of("WSGCN-I").tiles())
    assert (shown["photograph"] == rgb_u8).all()

    cams = load_record(made.arrays("cams", "I", image.id), Cams)
    maps = resize_maps(cams.finest, size)
    affinity = load_record(made.arrays("affinity", "I", image.id), Affinity)
    heats = {"CAM: cross": maps[0]}
    heats["boundary"] = resize_maps(affinity.boundary[None].astype(np.float32), size)[0]
    for caption, heat in heats.items():
        assert (shown[caption] == heat_overlay(rgb_u8, heat)).all()

    gcn, walk = (load_record(made.arrays("propagate", name, image.id), Scores) for name in ("WSGCN-I", "IRNet"))
    rows, columns = (
        (2 * np.arange(side) + 1) * cells // (2 * side) for side, cells in zip(size, gcn.partial_labels.shape)
    )
    probs = fake_predict(fake_load(trained, "cpu"), rgb_u8)
    labels = {
        "partial labels": gcn.partial_labels[np.ix_(rows, columns)],
        "random walk": upsample_labels(walk.class_ids, walk.scores, size),
        GCN[-1]: upsample_labels(gcn.class_ids, gcn.scores, size),
        "after CRF": load_label_map(made.label_map("crf", "WSGCN-I", image.id)),
        "segmentation network": labels_of(probs, rgb_u8, tiny_params.evaluate.seg_crf),
        "ground truth": read_mask(tiny_index, image),
    }
    for caption, one in labels.items():
        assert (shown[caption] == label_overlay(rgb_u8, one)).all(), caption
    assert len({one.tobytes() for one in labels.values()}) == len(labels)


def test_the_crf_and_the_propagation_need_not_have_run(way_of, made, image):
    before = way_of("WSGCN-I").labels
    made.arrays("propagate", "WSGCN-I", image.id).unlink()
    made.label_map("crf", "WSGCN-I", image.id).unlink()
    after = way_of("WSGCN-I").labels
    assert list(before) == list(after)
    assert all((before[caption] == after[caption]).all() for caption in before)


def test_without_mask_and_network_there_is_no_tile_of_them(way_of):
    shown = captions(way_of("WSGCN-I", "nowhere"))
    assert shown[-1] == "after CRF"
    assert "ground truth" in captions(way_of("WSGCN-I"))


@pytest.mark.parametrize(("method", "boundary"), [("IRNet", ["boundary"]), ("PSA", [])])
def test_a_walk_shows_what_it_has(way_of, method, boundary):
    labels = ["random walk", "after CRF", "ground truth"]
    assert captions(way_of(method)) == ["photograph", "CAM: cross", *boundary, *labels]


def test_a_picture_is_readable_at_1280_pixels(tiny_params, tiny_index, made, image):
    method = tiny_params.method("WSGCN-I")
    steps = steps_shown(tiny_params, made, method, tiny_index, image)
    picture = draw_way(tiny_params, made, method, tiny_index, image, steps)
    assert 640 < picture.width <= 1280
    assert picture.height > 2 * TILE_HEIGHT
    other = changed(tiny_params, {"evaluate.masks": "nowhere"})
    assert draw_way(other, made, method, tiny_index, image, steps).tobytes() != picture.tobytes()


# ---------------------------------------------------------------- which photograph


def test_a_photograph_is_found_by_its_id_or_by_a_part_of_it(tiny_index):
    assert find_photograph(tiny_index, "train", "t4").id == "t4"
    assert find_photograph(tiny_index, "train", "4").id == "t4"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("t", "6 ids have 't' in them, t0, t1, t2, …: give more of one"),
        ("x4", "no photograph of train is called 'x4': the nearest ids are t4, "),
        ("v0", "v0 is not in dataset.train_split, train, whose photographs alone get labels"),
    ],
)
def test_another_id_is_one_line_that_helps(tiny_index, text, message):
    with pytest.raises(UsageError) as caught:
        find_photograph(tiny_index, "train", text)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- the command


@pytest.fixture
def project(tmp_path, made, tiny_params, monkeypatch):
    """The project's folder, the one we stand in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(tiny_params.model_dump(mode="json"), sort_keys=False))
    return tmp_path


def test_the_command_writes_a_picture_and_says_where(project):
    done = CliRunner().invoke(cli.app, ["show", "2"], catch_exceptions=False)
    file = project / "artifacts" / "show" / "WSGCN-I" / "t2.png"
    assert done.exit_code == 0
    assert done.output == "t2 by WSGCN-I: artifacts/show/WSGCN-I/t2.png\n"  # and no picture: this is no terminal
    with Image.open(file) as picture:
        assert picture.format == "PNG"


def test_the_command_takes_a_method_and_a_file(project, monkeypatch):
    asked = []
    monkeypatch.setattr("wsgcn.runtime.terminal.show_picture", lambda picture, *more: asked.append(picture.size))
    done = CliRunner().invoke(cli.app, ["show", "t2", "--method", "PSA", "--out", "a/b.png"], catch_exceptions=False)
    assert done.output == "t2 by PSA: a/b.png\n"
    with Image.open(project / "a" / "b.png") as picture:
        assert asked == [picture.size]
    assert not (project / "artifacts" / "show").exists()


def test_quiet_is_quiet(project, monkeypatch):
    monkeypatch.setenv("WSGCN_QUIET", "1")
    monkeypatch.setattr("wsgcn.runtime.terminal.show_picture", lambda *given: pytest.fail("a picture"))
    done = CliRunner().invoke(cli.app, ["show", "t2", "--out", "a.png"], catch_exceptions=False)
    assert done.output == ""
    assert (project / "a.png").exists()


def test_what_is_missing_is_an_error_and_nothing_is_written(project, made):
    made.arrays("cams", "P", "t2").unlink()
    done = CliRunner().invoke(cli.app, ["show", "t2", "--method", "PSA", "--out", "a.png"])
    assert isinstance(done.exception, DataError)
    assert "dvc repro cams@P" in str(done.exception)
    assert not (project / "a.png").exists()
