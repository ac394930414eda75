"""Every network with its loss: what learns at which rate, one pass, and at full size ten steps on four photographs."""

from itertools import islice, repeat

import pytest
import torch
import yaml
from lightning_fabric import Fabric
from PIL import Image

from tests.conftest import ROOT, changed
from wsgcn.bench.networks import NETWORKS, Pass, target_of
from wsgcn.bench.run import plan
from wsgcn.errors import DataError
from wsgcn.nets.backbone import to_input
from wsgcn.params import parse_params
from wsgcn.store.fingerprints import PACKAGE
from wsgcn.store.photos import load_photo
from wsgcn.training.loop import descend
from wsgcn.vocabulary import METHODS

SIZE = (24, 32)
PHOTOGRAPHS = ROOT.parent / "shared" / "data" / "voc-animals" / "VOCdevkit" / "VOC2012" / "JPEGImages"


@pytest.fixture
def voc12():
    """The paper's parameters."""
    return parse_params(yaml.safe_load((PACKAGE / "presets" / "voc12.yaml").read_text()), "voc12")


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.effect_noise(SIZE[::-1], 60).convert("RGB").save(path)
    return path


# ---------------------------------------------------------------- rates

SMALL = {
    f"cams.{variant}.{key}": value
    for variant in "IP"
    for key, value in (("backbone", "resnet-small"), ("frozen_stages", 0))
}

PUBLISHED_RATES = {
    "classifier I": {"net.backbone.": 0.1, "net.classifier.": 1.0},
    "classifier P": {"net.backbone.": 0.1, "net.classifier.": 1.0},
    "boundary branch": {"net.branches.": 0.1, "net.last.": 0.1, "net.displacement.": 1.0},
    "AffinityNet": {"net.backbone.": 0.1, "net.branches.": 1.0, "net.last.": 1.0},
    "DeepLabv2": {"network.backbone.": 2.5e-4, "network.aspp.weight": 2.5e-3, "network.aspp.bias": 5e-3},
}
"""Rate of the first update by the parameter's name. Source: the training scripts of IRNet, PSA and deeplab-pytorch."""


def rates(objective):
    """The rate of each parameter that learns; each is in one group."""
    names = {id(one): name for name, one in objective.named_parameters()}
    found = {}
    for group in objective.groups():
        for one in group["params"]:
            assert names[id(one)] not in found
            found[names[id(one)]] = group["lr"]
    return {name: rate for name, rate in found.items() if objective.get_parameter(name).requires_grad}


@pytest.mark.parametrize("what", NETWORKS)
def test_every_parameter_learns_at_the_published_rate(what, voc12):
    params = changed(voc12, SMALL | {"segtrain.backbone": "resnet-small"})
    objective = NETWORKS[what](params, SIZE)
    found = rates(objective)
    assert set(found) == {name for name, one in objective.named_parameters() if one.requires_grad}
    expected, used = PUBLISHED_RATES[what], set()
    for name, rate in found.items():
        kind = f"network.aspp.{name.rpartition('.')[2]}" if name.startswith("network.aspp.") else name
        (prefix,) = [prefix for prefix in expected if kind.startswith(prefix)]
        assert rate == pytest.approx(expected[prefix]), name
        used.add(prefix)
    assert used == set(expected)


# ---------------------------------------------------------------- one pass


@pytest.mark.parametrize("what", NETWORKS)
def test_pass_gives_every_parameter_that_learns_a_gradient(what, tiny_params):
    objective = NETWORKS[what](tiny_params, SIZE)
    x, target = torch.randn(2, 3, *SIZE), torch.stack([target_of(what, tiny_params, SIZE)] * 2)
    objective(x, target).backward()
    silent = [name for name, one in objective.named_parameters() if one.requires_grad and one.grad is None]
    assert silent == []
    assert any(one.grad is not None and one.grad.abs().max() > 0 for one in objective.parameters())


@pytest.mark.parametrize("what", NETWORKS)
def test_pass_can_be_called(what, tiny_params, photo):
    Pass(what, tiny_params, photo)()()


def test_networks_are_rows_of_the_plan_where_a_photograph_is_given(tiny_params, photo, tmp_path):
    row = plan(tiny_params, [], 1, False, 0, METHODS["PSA"], photo)[0]()
    assert (row.what, row.size) == ("classifier I, resnet-small", "24 x 32 pixels")
    assert row.seconds > 0
    assert len(plan(tiny_params, [], 1, False, 0, METHODS["PSA"], photo)) == len(NETWORKS)
    with pytest.raises(DataError, match=r"none\.jpg"):
        plan(tiny_params, [], 1, False, 0, METHODS["PSA"], tmp_path / "none.jpg")


# ---------------------------------------------------------------- at full size

FULL_SIZE = [
    *((what, {}) for what in NETWORKS),
    *(("DeepLabv2", {"segtrain.backbone": one}) for one in ("resnet-101-caffe", "drn-d-105")),
]


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason=f"{PHOTOGRAPHS} is not on this machine")
@pytest.mark.parametrize(
    ("what", "values"), FULL_SIZE, ids=[" ".join([what, *values.values()]) for what, values in FULL_SIZE]
)
def test_ten_steps_at_full_size_lower_the_loss_on_four_photographs(what, values, voc12):
    """From new weights, so batch norms learn and nothing is frozen."""
    free = {"cams.I.frozen_stages": 0, "cams.P.frozen_stages": 0, "segtrain.freeze_norm": False}
    free |= {"cams.I.train.freeze_norm": False, "cams.P.train.freeze_norm": False, "segtrain.iterations": 10}
    params = changed(voc12, values | free)
    files = list(islice(sorted(PHOTOGRAPHS.glob("*.jpg")), 4))
    x = torch.stack([to_input(load_photo(file)[:192, :192]) for file in files])
    size = (192, 192)
    torch.manual_seed(0)
    objective = NETWORKS[what](params, size)
    target = torch.stack([target_of(what, params, size)] * 4)
    section = objective.params
    steps = list(
        descend(
            objective,
            repeat((x, target), 10),
            section,
            fabric=Fabric(accelerator="cpu", devices=1),
            steps=10,
            section=what,
        )
    )
    losses = [step.loss for step in steps]
    assert max(losses[-3:]) < losses[0]
