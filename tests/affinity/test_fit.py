"""The affinity network's training: what seeds it."""

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from tests.conftest import changed
from wsgcn.affinity.fit import AffinitySample, train_affinity
from wsgcn.nets.base import to_input
from wsgcn.nets.build import build_backbone
from wsgcn.runtime.seeds import generator_for
from wsgcn.store.records import SeedScores


def _load(number):
    random = np.random.default_rng(number)
    return random.integers(0, 256, (40, 44, 3), dtype=np.uint8), random.integers(0, 3, (40, 44), dtype=np.uint8)


def _train(params, entry, tmp_path, **texts):
    """The history of two steps."""
    kind = changed(params, {f"affinity.{entry}.train.steps": 2}).affinity[entry]
    torch.manual_seed(0)
    net = kind.network(build_backbone(kind.train.backbone, 8, None), freeze=True)
    named = {"name": "affinity-train I", "label": "affinity-train I", "section": f"affinity.{entry}.train"} | texts
    named["unfinished"] = tmp_path / "unfinished"
    fabric = Fabric(accelerator="cpu", devices=1)
    return train_affinity(net, {f"t{one}": one for one in range(4)}, _load, kind.train, 0, fabric, **named)


@pytest.mark.parametrize("entry", ["boundary", "affinitynet"])
def test_crops_and_offsets_are_drawn_by_the_trainings_name_and_not_by_a_text(tiny_params, entry, tmp_path):
    before = _train(tiny_params, entry, tmp_path)
    assert _train(tiny_params, entry, tmp_path, label="another text", section="another.section") == before
    assert _train(tiny_params, entry, tmp_path, name="affinity-train J") != before


@pytest.mark.parametrize("seed", range(6))
def test_scores_give_labels_to_the_cells_of_the_same_crop(tiny_params, seed):
    """Where a photograph's red tells the class of its left and right half, the labels of the cells follow it."""
    values = {"crop": 64, "stride": 8, "scale": (1.0, 1.0), "border": "black"}
    named = {f"affinity.affinitynet.train.{key}": value for key, value in values.items()}
    rgb_u8 = np.zeros((40, 48, 3), np.uint8)
    rgb_u8[:, :24, 0], rgb_u8[:, 24:, 0] = 100, 200
    right = (rgb_u8[..., 0] == 200)[None]
    maps = np.concatenate([np.full((1, 40, 48), 0.1), 0.9 * ~right, 0.9 * right]).astype(np.float16)
    seeds = SeedScores(np.array([0, 7, 9]), maps, maps)
    params = changed(tiny_params, named).affinity["affinitynet"].train
    sample = AffinitySample(lambda item: (rgb_u8, seeds), params, to_input)
    crop, labels = sample("t0", generator_for(seed, "view"))
    assert crop.shape == (3, 64, 64)
    assert labels.shape == (8, 8)
    red = ((crop[0] * 0.229 + 0.485) * 255).round()
    assert set(red.unique().tolist()) == {0, 100, 200}  # around the photograph is black
    cells = red.reshape(8, 8, 8, 8).permute(0, 2, 1, 3).flatten(2)  # (8, 8, 64)
    counts = torch.stack([(cells == level).sum(dim=2) for level in (0, 100, 200)])
    expected = torch.tensor([255, 7, 9])[torch.where(counts[0] == 64, 0, 1 + counts[1:].argmax(dim=0))]
    clear = counts[1] != counts[2]
    assert torch.equal(labels[clear].long(), expected[clear])
    assert (labels[counts[0] == 64] == 255).all()
