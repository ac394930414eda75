"""The index: round trip, and a clear refusal of everything else."""

import pytest

from wsgcn.errors import DataError
from wsgcn.store.files import read_json, write_json
from wsgcn.store.index import Index, load_index, save_index
from wsgcn.store.paths import Artifacts


def test_index_round_trip(tmp_path, tiny_index):
    path = Artifacts(tmp_path).index
    save_index(path, tiny_index)
    assert load_index(path) == tiny_index
    assert isinstance(load_index(path).images[0].class_ids, tuple)


@pytest.mark.parametrize("content", [[], {}, {"name": "x"}, 3, None])
def test_json_that_is_no_index_is_named(tmp_path, content):
    path = tmp_path / "index.json"
    write_json(path, content)
    with pytest.raises(DataError, match="wsgcn dataset") as caught:
        load_index(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("change", [lambda image: image.pop("height"), lambda image: image.update(colour=1)])
def test_index_of_another_version_is_refused(tmp_path, tiny_index, change):
    path = tmp_path / "index.json"
    save_index(path, tiny_index)
    content = read_json(path)
    change(content["images"][0])
    write_json(path, content)
    with pytest.raises(DataError, match="not an index of this version"):
        load_index(path)


@pytest.mark.parametrize(
    "change",
    [
        {"height": 0},
        {"width": -3},
        {"height": "tall"},
        {"class_ids": [3]},
        {"class_ids": [0]},
        {"class_ids": [2, 1]},
        {"class_ids": [1, 1]},
        {"class_ids": [[1]]},
        {"class_ids": "1"},
        {"id": "../../etc/passwd"},
        {"id": 3},
        {"photo": None},
        {"splits": {"a": 1}},
        {"shrunk": [0, 4]},
        {"shrunk": [10**6, 10]},
        {"shrunk": 5},
    ],
)
def test_an_index_of_what_cannot_be_is_refused(tmp_path, tiny_index, change):
    path = tmp_path / "index.json"
    save_index(path, tiny_index)
    content = read_json(path)
    content["images"][0] |= change
    write_json(path, content)
    with pytest.raises(DataError, match=r"index\.json is not an index of this version \(.*\): run `wsgcn dataset`"):
        load_index(path)


def test_unknown_split_lists_the_known_ones(tiny_index):
    assert [image.id for image in tiny_index.split("val")] == ["v0", "v1", "v2"]
    with pytest.raises(DataError, match=r"'test'.*train, val"):
        tiny_index.split("test")


def test_empty_index_has_no_split():
    with pytest.raises(DataError, match="no photograph"):
        Index("none", "root", ("background",), ()).split("train")
