"""CAM source ``group-graph`` as a whole: groups, training, and maps on their grid."""

import pytest

from tests import chain
from tests.cams.company import with_source
from tests.conftest import changed
from wsgcn.cams.album import Album
from wsgcn.errors import DataError
from wsgcn.ops.resize import grid_size
from wsgcn.store.records import Cams, load_record

TRAIN = {"group": 3, "rounds": 2, "drop_rate": 0.8, "drop_threshold": 0.7, "own_weight": 0.4}


@pytest.fixture
def params(tiny_params):
    return with_source(tiny_params, TRAIN, {"scales": [1.0]}, "group-graph")


def test_the_others_of_a_group_share_a_class(params, tiny_index):
    source, shown = params.cams["own"], {image.id: image.class_ids for image in tiny_index.split("train")}
    for image in tiny_index.split("train"):
        company = source.company(image, Album.of(shown))
        assert company == source.company(image, Album.of(shown))
        assert len(company) == 2
        assert image.id not in company
        assert all(set(shown[one]) & set(image.class_ids) for one in company)


def test_network_and_maps_are_the_same_again_and_fit_the_grid(fresh, params, tiny_index, tmp_path):
    outputs = []
    for store in "ab":
        own = changed(params, {"runtime.store": str(tmp_path / store)})
        chain.run_stage("cams-train", "X", own, fresh)
        chain.run_stage("cams", "X", own, fresh)
        outputs.append([fresh.checkpoint("cams-train", "X").read_bytes(), chain.contents(fresh.folder("cams", "X"))])
    assert outputs[0] == outputs[1]
    for image in tiny_index.split("train"):
        record = load_record(fresh.arrays("cams", "X", image.id), Cams)
        stride = params.cams["own"].infer.stride
        assert record.cams.shape == (len(image.class_ids), *grid_size(image.height, image.width, stride))
        assert record.cams.min() >= 0
        assert set(record.cams.max(axis=(1, 2))) <= {0, 1}


@pytest.mark.parametrize(("key", "value"), [("group", 4), ("rounds", 1)])
def test_a_network_of_other_groups_is_refused(fresh, params, key, value):
    chain.run_stage("cams-train", "X", params, fresh)
    with pytest.raises(DataError, match=key):
        chain.run_stage("cams", "X", changed(params, {f"cams.own.train.{key}": value}), fresh)
