"""CAM source ``seam`` in the chain: it trains, makes maps, and others start from it."""

import numpy as np
import pytest
import torch

from tests import chain
from tests.cams.seam_cases import seam_params
from tests.conftest import changed
from wsgcn.cams.cam import VIEWS
from wsgcn.cams.net import load_cam_net
from wsgcn.errors import UsageError
from wsgcn.ops.resize import grid_size
from wsgcn.store.fingerprints import DigestedFile
from wsgcn.store.index import load_index
from wsgcn.store.label_maps import load_label_map
from wsgcn.store.photos import load_photo
from wsgcn.store.records import Cams, load_record


@pytest.fixture
def params(tiny_params):
    return seam_params(tiny_params)


def trained(params, artifacts):
    chain.run_stage("cams-train", "SEAM", params, artifacts)
    return artifacts.checkpoint("cams-train", "SEAM").read_bytes()


def test_same_seed_same_network_and_the_losses_are_part_of_it(fresh, params, tmp_path):
    before = trained(params, fresh)
    torch.manual_seed(7)
    again = changed(params, {"runtime.store": str(tmp_path / "another")})
    assert trained(again, fresh) == before
    for name, value in (("small_scale", 0.5), ("hard_share", 1.0), ("min_pooling", 0.0)):
        assert trained(changed(again, {f"cams.seam.train.{name}": value}), fresh) != before, name


def test_maps_are_the_corrected_ones_from_0_to_1(fresh, params):
    params = changed(params, {"cams.seam.infer.scales": [0.5, 1.0]})
    trained(params, fresh)
    chain.run_stage("cams", "SEAM", params, fresh)
    net = load_cam_net(params.cams["seam"], 3, DigestedFile.of(fresh.checkpoint("cams-train", "SEAM")), "cpu")
    index, found = load_index(fresh.index), []
    for image in index.split("train"):
        record = load_record(fresh.arrays("cams", "SEAM", image.id), Cams)
        rgb_u8 = load_photo(index.photo_path(image))
        grid = grid_size(*rgb_u8.shape[:2], 4)
        assert record.cams.shape == (len(image.class_ids), *grid)
        assert record.high_res.size == 0
        total = np.zeros(record.cams.shape)
        with torch.no_grad():
            for seen in VIEWS["bilinear"](rgb_u8, net, (0.5, 1.0), "cpu"):
                for x, back in ((seen, False), (seen.flip(3), True)):
                    maps = net.maps(x).revised[:, list(image.class_ids)]
                    maps = maps.flip(3) if back else maps
                    total += torch.nn.functional.interpolate(maps, size=grid, mode="bilinear")[0].numpy()
        low, high = (bound(total, axis=(1, 2), keepdims=True) for bound in (np.min, np.max))
        expected = (total - low) / np.where(high > low, high - low, 1)
        np.testing.assert_allclose(record.cams, expected, atol=1e-4)
        assert record.cams.max(axis=(1, 2)).tolist() == (high > low).ravel().tolist()
        found += (high > low).ravel().tolist()
    assert any(found)


def test_the_chain_runs_to_pseudo_labels_and_networks_start_from_it(made, params):
    params = changed(params, {"affinity.affinitynet.train.weights": "cams", "segtrain.deeplab.weights": "cams"})
    for stage in ("cams-train", "cams", "affinity-train", "affinity"):
        chain.run_stage(stage, "SEAM", params, made)
    for stage in ("propagate", "crf", "segtrain"):
        chain.run_stage(stage, "SEAM", params, made)
    for image in load_index(made.index).split("train"):
        assert set(np.unique(load_label_map(made.label_map("crf", "SEAM", image.id)))) <= {0, *image.class_ids}
    assert made.checkpoint("segtrain", "SEAM").exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("train.small_scale", 1.0),
        ("train.small_scale", 0.0),
        ("train.hard_share", 0.0),
        ("train.min_pooling", -1.0),
        ("infer.high_res", True),
    ],
)
def test_impossible_numbers_are_refused(params, key, value):
    with pytest.raises(UsageError, match=rf"cams\.seam\.{key.replace('.', '[.]')}"):
        changed(params, {f"cams.seam.{key}": value})
