"""CAM source ``co-attention`` as a whole: pairs, training, and maps that depend on the photographs beside one."""

import numpy as np
import pytest
import torch

from tests import chain
from tests.cams.company import with_source
from tests.conftest import changed
from wsgcn.cams.album import Album
from wsgcn.cams.cam import photo_maps
from wsgcn.cams.net import load_cam_net
from wsgcn.ops.resize import grid_size
from wsgcn.runtime.seeds import generator_for
from wsgcn.store.fingerprints import DigestedFile
from wsgcn.store.records import Cams, load_record


@pytest.fixture
def params(tiny_params):
    own = {"maps": "common", "references": 2, "min_prob": 0.1, "scales": [1.0, 0.75], "high_res": True}
    return with_source(tiny_params, {"views": [1.0, 0.75]}, own, "co-attention")


@pytest.fixture
def source(params):
    return params.cams["own"]


def _album(tiny_index):
    return Album.of({image.id: image.class_ids for image in tiny_index.split("train")})


def test_partners_and_references_share_a_class(source, tiny_index):
    album, shown = _album(tiny_index), {image.id: image.class_ids for image in tiny_index.images}
    for image in tiny_index.split("train"):
        for seed in range(5):
            (partner,) = source.others(album, image.id, image.class_ids, generator_for(seed))
            assert set(shown[partner]) & set(image.class_ids)
        company = source.company(image, album)
        assert company == source.company(image, album)
        assert len(company) == 2 * len(image.class_ids)
        for place, one in enumerate(company):
            assert image.class_ids[place // 2] in shown[one]


def test_network_and_maps_are_the_same_again_and_fit_the_grid(fresh, params, tiny_index, tmp_path):
    outputs = []
    for store in "ab":
        own = changed(params, {"runtime.store": str(tmp_path / store)})
        chain.run_stage("cams-train", "X", own, fresh)
        chain.run_stage("cams", "X", own, fresh)
        outputs.append([fresh.checkpoint("cams-train", "X").read_bytes(), chain.contents(fresh.folder("cams", "X"))])
    assert outputs[0] == outputs[1]
    assert len(outputs[0][1]) == 6
    for image in tiny_index.split("train"):
        record = load_record(fresh.arrays("cams", "X", image.id), Cams)
        stride = params.cams["own"].infer.stride
        assert record.cams.shape == (len(image.class_ids), *grid_size(image.height, image.width, stride))
        assert record.finest.shape == (len(image.class_ids), image.height, image.width)
        assert record.cams.min() >= 0
        assert set(record.cams.max(axis=(1, 2))) <= {0, 1}


def test_a_changed_reference_makes_the_maps_of_who_is_compared_with_it_again(fresh, params, tiny_index, tiny_voc):
    chain.run_stage("cams-train", "X", params, fresh)
    chain.run_stage("cams", "X", params, fresh)
    when, album = chain.times(fresh.folder("cams", "X")), _album(tiny_index)
    (tiny_voc / "JPEGImages" / "t1.jpg").write_bytes((tiny_voc / "JPEGImages" / "t4.jpg").read_bytes())
    affected = {image.id for image in tiny_index.split("train") if "t1" in params.cams["own"].company(image, album)}
    assert affected - {"t1"}
    assert len(affected) < 6
    chain.run_stage("cams", "X", params, fresh)
    now = chain.times(fresh.folder("cams", "X"))
    assert {one for one in now if now[one] != when[one]} == {f"{one}.npz" for one in affected | {"t1"}}


def test_who_measures_trains_beside_nobody(source, tiny_index):
    """Partners come from those that train, also for a photograph that measures."""
    shown = {image.id: image.class_ids for image in tiny_index.split("train")}
    trains = ["t0", "t1", "t5"]
    colours = {one: np.full((40, 40, 3), 40 * place, np.uint8) for place, one in enumerate(shown)}
    sample = source.sample(
        shown, colours.get, 2, lambda rgb: torch.from_numpy(rgb / 255).permute(2, 0, 1).float(), trains
    )
    seen = set()
    for seed in range(20):
        for one in shown:
            _, target, partner, other = sample(one, generator_for(seed, one))
            assert (target * other).sum() > 0
            assert target.tolist() == [float(number in shown[one]) for number in (1, 2)]
            seen.add(round(float(partner.max()) * 255 / 40))
    assert seen == {0, 1, 5}


def test_own_maps_are_the_first_classifiers_and_need_nobody_else(fresh, params, tiny_index, monkeypatch):
    alone = changed(params, {"cams.own.infer.maps": "own"})
    source, image = alone.cams["own"], tiny_index.split("train")[2]
    assert params.cams["own"].compares
    assert not source.compares
    chain.run_stage("cams-train", "X", alone, fresh)
    with monkeypatch.context() as patch:
        patch.delattr("wsgcn.cams.stage._album")  # nobody asks who there is
        chain.run_stage("cams", "X", alone, fresh)
    network, photo = DigestedFile.of(fresh.checkpoint("cams-train", "X")), tiny_index.photo_path(image)
    net = load_cam_net(source, 3, network, "cpu")
    maps, _ = photo_maps(net, photo, image.class_ids, source.infer, "cpu")
    found = load_record(fresh.arrays("cams", "X", image.id), Cams)
    np.testing.assert_array_equal(found.cams, maps)
    common = load_record(_common(fresh, params), Cams)
    assert np.abs(common.cams - found.cams).max() > 0.1


def _common(fresh, params):
    chain.run_stage("cams", "X", params, fresh)
    return fresh.arrays("cams", "X", "t2")
