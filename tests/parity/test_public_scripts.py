"""The scripts of IRNet and PSA run as they are, with their own networks, beside whole inferences of ours.

As ``test_public_modules.py``: ``PUBLIC`` names the folder with their work trees.
"""

import importlib
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.parity import scripts
from tests.parity.public import MARKS, PUBLIC, ours, photo, scrambled
from tests.parity.steps import (
    IDS,
    PARAMS,
    difference,
    grid_of,
    read_golden,
    saved_photo,
    their_steps,
    thinned,
)
from wsgcn.affinity.infer import affinity_of_photo
from wsgcn.cams.cam import photo_maps
from wsgcn.nets.base import to_input
from wsgcn.ops.resize import upsample_labels
from wsgcn.propagate.walk import graph_of, random_walk_scores

pytestmark = MARKS
SIZE, CLASS_IDS = (75, 101), (3, 12)


@pytest.fixture
def inside(tmp_path):
    """Enters a project, and leaves it at the end of the test."""
    entered = []

    def enter(project):
        if not (PUBLIC / project).is_dir():
            pytest.skip(f"{PUBLIC / project} is not there")
        entered.append(scripts.public_project(PUBLIC / project, tmp_path))
        return entered[-1].__enter__()

    yield enter
    for one in reversed(entered):
        one.__exit__(None, None, None)


def test_scripts_give_the_golden_values(tmp_path):
    found, places = their_steps(PUBLIC, tmp_path)
    expected, lay = read_golden()
    assert places == lay
    assert [*found] == [*expected]
    for name, one in found.items():
        assert difference(name, thinned(name, one), expected[name]) <= 1e-5


@dataclass
class Irnet:
    """IRNet's own classifier and boundary network, with random weights."""

    classifier: nn.Module
    edge: nn.Module


@pytest.fixture
def irnet(inside, monkeypatch):
    caught = inside("irn")
    resnet = importlib.import_module("net.resnet50")
    plain = resnet.resnet50
    monkeypatch.setattr(resnet, "resnet50", lambda pretrained=True, **others: plain(pretrained=False, **others))
    torch.manual_seed(0)
    nets = [
        importlib.import_module("net.resnet50_cam").CAM(),
        importlib.import_module("net.resnet50_irn").EdgeDisplacement(),
    ]
    for net in nets:
        for name, parameter in net.named_parameters():
            if parameter.dim() == 4:  # scaled so that nothing explodes
                parameter.normal_(0, (2 / parameter[0].numel()) ** 0.5 * (0.7 if "conv3" in name else 1))
        scrambled(net, 1)
    return caught, Irnet(*nets)


def test_irnets_cams_and_walk_of_a_photograph(irnet, tmp_path):
    """Our boundary is kept in 16 bits, so that a pixel with two near-equal scores may go either way."""
    caught, nets = irnet
    rgb_u8 = photo(*SIZE)
    cams = scripts.irnet_cams(caught, nets.classifier, rgb_u8, CLASS_IDS)
    path = saved_photo(tmp_path, rgb_u8)
    net = ours("irnet-cam", nets.classifier.state_dict())
    maps, high_res = photo_maps(net, path, CLASS_IDS, PARAMS.cams["irnet"].infer, "cpu")
    assert np.abs(maps - cams["cam"].numpy()).max() < 1e-4
    assert np.abs(high_res - cams["high_res"]).max() < 1e-4

    x = torch.stack([to_input(rgb_u8), to_input(rgb_u8).flip(-1)])
    boundary = nets.edge(x)[0][0].numpy()
    labels = scripts.irnet_walk(caught, boundary, cams, rgb_u8)
    kind = PARAMS.affinity["boundary"]
    graph = affinity_of_photo(kind, ours("irnet-boundary", nets.edge.state_dict()), path, "cpu")
    assert np.abs(graph.boundary - boundary).max() < 1e-3
    grid = grid_of(4, SIZE)
    own = graph.boundary.astype(np.float32)
    scores = random_walk_scores(maps, own, graph_of(graph), PARAMS.propagate["walk-i"], grid)
    found = upsample_labels(IDS, grid.covering(scores), SIZE)
    assert (found != labels).mean() < 0.005
    assert len(np.unique(labels)) > 1


def test_psas_cams_of_a_photograph(inside, tmp_path):
    caught = inside("psa")
    net = scrambled(importlib.import_module("network.resnet38_cls").Net(), 1)
    net.fc8.weight.mul_(1000)  # a trained network's activations are far above the 1e-5 added to their maximum
    rgb_u8 = photo(*SIZE)
    state = {key: one.clone() for key, one in net.state_dict().items()}
    cams = scripts.psa_cams(caught, net, rgb_u8, CLASS_IDS)["out_cam"]
    mine = ours("psa-classifier", state)
    maps, _ = photo_maps(mine, saved_photo(tmp_path, rgb_u8), CLASS_IDS, PARAMS.cams["psa"].infer, "cpu")
    assert np.abs(maps - np.stack([*cams.values()])).max() < 1e-4


def test_affinitynets_features_of_a_padded_photograph(inside, tmp_path):
    inside("psa")
    net = scrambled(importlib.import_module("network.resnet38_aff").Net(), 2)
    rgb_u8 = photo(*SIZE)
    padded = functional.pad(to_input(rgb_u8)[None], (0, 3, 0, 5))  # infer_aff.py
    maps = net.forward_as_dict(padded)
    heads = ((net.f8_3, "conv4"), (net.f8_4, "conv5"), (net.f8_5, "conv6"))
    features = functional.elu(net.f9(torch.cat([functional.elu(head(maps[name])) for head, name in heads], dim=1)))[0]
    mine = ours("psa-affinitynet", net.state_dict())
    found = PARAMS.affinity["affinitynet"].features(mine, to_input(rgb_u8)[None])[0]
    torch.testing.assert_close(found, features, rtol=1e-4, atol=1e-4)
    record = affinity_of_photo(PARAMS.affinity["affinitynet"], mine, saved_photo(tmp_path, rgb_u8), "cpu")
    assert int(record.stride) == 8
    assert record.features.shape == tuple(features.shape)
