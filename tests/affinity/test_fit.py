"""The affinity network's training: what seeds it."""

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from tests.conftest import changed
from wsgcn.affinity.fit import train_affinity
from wsgcn.nets.build import build_backbone


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
