"""Every network with its loss: what learns at which rate, one pass, and at full size ten steps on four photographs."""

import pickle
import re
from itertools import islice
from typing import Literal

import pytest
import torch
from lightning_fabric import Fabric
from PIL import Image

from tests.conftest import ROOT, changed
from wsgcn.affinity.base import AffinityKind
from wsgcn.bench import run, trainings
from wsgcn.bench.measure import Cost
from wsgcn.bench.networks import Pass, entry_networks
from wsgcn.bench.run import plan
from wsgcn.bench.trainings import ShortTraining
from wsgcn.cams.base import CamSource
from wsgcn.errors import DataError
from wsgcn.nets.build import backbone_class
from wsgcn.params import load_params
from wsgcn.store.photos import load_photo
from wsgcn.training.descent import Descent
from wsgcn.vocabulary import PRESET_FOLDER

SIZE = (24, 32)
PHOTOGRAPHS = ROOT.parent / "shared" / "data" / "voc-animals" / "VOCdevkit" / "VOC2012" / "JPEGImages"


@pytest.fixture
def voc12():
    """The paper's parameters."""
    return load_params(PRESET_FOLDER / "voc12.yaml")


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.effect_noise(SIZE[::-1], 60).convert("RGB").save(path)
    return path


# ---------------------------------------------------------------- which


class OwnCams(CamSource):
    """Stands for a CAM source that trains nothing."""

    kind: Literal["own"]
    train: None


class OwnAffinity(AffinityKind):
    """Stands for an affinity that trains nothing."""

    kind: Literal["own"]
    train: None


OTHERS = {
    **{f"cams.{name}": "resnet-38" for name in ("seam", "sc-cam", "weighted")},
    **{f"cams.{name}": "resnet-50-irnet" for name in ("mcis", "group")},
    **{f"segtrain.{name}": "resnet-38" for name in ("single-stage", "rrm")},
    "segtrain.dsrg": "resnet-101-imagenet",
}
"""Backbones of the systems that the paper compares itself with."""


def test_every_entry_that_trains_a_network_has_one(voc12):
    psa = voc12.cams["psa"]
    more = {
        "cams": {**voc12.cams, "own": OwnCams.model_construct(), "again": psa},
        "affinity": {**voc12.affinity, "own": OwnAffinity.model_construct()},
    }
    found = entry_networks(voc12.model_copy(update=more))
    assert {name: network.params.backbone for name, network in found.items()} == {
        "cams.irnet": "resnet-50-irnet",
        "cams.psa": "resnet-38",
        "cams.again": "resnet-38",
        "affinity.boundary": "resnet-50-irnet",
        "affinity.affinitynet": "resnet-38",
        "affinity.affinitynet-seam": "resnet-38",
        "segtrain.deeplab": "resnet-101-imagenet",
        **OTHERS,
    }
    assert pickle.loads(pickle.dumps(found)).keys() == found.keys()  # noqa: S301


# ---------------------------------------------------------------- rates

PUBLISHED_RATES = {
    "cams.irnet": {"net.backbone.": 0.1, "net.classifier.": 1.0},
    "cams.psa": {"net.backbone.": 0.1, "net.classifier.": 1.0},
    "affinity.boundary": {"net.branches.": 0.1, "net.last.": 0.1, "net.displacement.": 1.0},
    "affinity.affinitynet": {"net.backbone.": 0.1, "net.branches.": 1.0, "net.last.": 1.0},
    "segtrain.deeplab": {"network.backbone.": 1e-3, "network.aspp.weight": 1e-3, "network.aspp.bias": 2e-3},
}
"""Rate of the first update by the parameter's name.

Source: the training scripts of IRNet, PSA and deeplab-imagenet-pytorch.
"""

PSA_BACKBONE = r"backbone\.b[3-7](_\d)?\.conv_branch"
LEARNING = {
    "cams.irnet": (r"net\.(backbone\.layer[34]|classifier)\.", 88),
    "cams.psa": (rf"net\.({PSA_BACKBONE}|classifier\.)", 36),
    "affinity.boundary": (r"net\.(branches|last|displacement)\.", 39),
    "affinity.affinitynet": (rf"net\.({PSA_BACKBONE}|branches\.|last\.)", 39),
    "segtrain.deeplab": (r"network\.(backbone\.layer\d\.\d+\.(conv\d|downsample\.0)|aspp)\.", 111),
}
"""What learns, by the beginnings of the names, and how many tensors that is at full size.

IRNet's classifier: ``net/resnet50_cam.py`` detaches behind the second residual stage, whose followers have 87 tensors.
PSA: ``network/resnet38_cls.py`` and ``resnet38_aff.py`` list what does not train (``conv1a``, ``b2``, ``b2_1``,
``b2_2``) and group convolutions alone, of which 35 are left. IRNet's branches: ``net/resnet50_irn.py`` detaches every
map; 17 tensors are the boundary's, 22 the field's. DeepLabv2: ``main.py`` of deeplab-imagenet-pytorch groups the
convolutions with ``layer`` in their names, 103, and the ASPP. ``tests/parity`` counts them in the public modules.
"""

NAMES = list(PUBLISHED_RATES)


def rates(loss):
    """The rate of each parameter that learns; each is in one group."""
    names = {id(one): name for name, one in loss.named_parameters()}
    found = {}
    for group in loss.groups():
        for one in group["params"]:
            assert names[id(one)] not in found
            found[names[id(one)]] = group["lr"]
    return {name: rate for name, rate in found.items() if loss.get_parameter(name).requires_grad}


@pytest.mark.usefixtures("sizes")
@pytest.mark.parametrize("what", NAMES)
def test_every_parameter_learns_at_the_published_rate(what, voc12):
    loss = entry_networks(voc12)[what].build(SIZE)
    found = rates(loss)
    assert set(found) == {name for name, _ in loss.named_parameters() if re.match(LEARNING[what][0], name)}
    expected, used = PUBLISHED_RATES[what], set()
    for name, rate in found.items():
        kind = f"network.aspp.{name.rpartition('.')[2]}" if name.startswith("network.aspp.") else name
        (prefix,) = [prefix for prefix in expected if kind.startswith(prefix)]
        assert rate == pytest.approx(expected[prefix]), name
        used.add(prefix)
    assert used == set(expected)


@pytest.mark.parametrize("what", NAMES)
def test_as_many_parameters_learn_as_published(what, voc12, monkeypatch):
    monkeypatch.setattr("wsgcn.affinity.fit._some", lambda offsets, *_: offsets)  # no draw without memory
    with torch.device("meta"):
        loss = entry_networks(voc12)[what].build(SIZE)
    assert len(rates(loss)) == sum(one.requires_grad for one in loss.parameters()) == LEARNING[what][1]


def test_all_convolutions_of_the_network_from_mscoco_learn(voc12):
    """104 with the stem, and the ASPP's eight tensors; norms stay as loaded (deeplab-pytorch, ``main.py``)."""
    recipe = {
        "segtrain.deeplab.backbone": "resnet-101-caffe",
        "segtrain.deeplab.frozen_stages": 0,
        "segtrain.deeplab.freeze_norm": "all",
    }
    with torch.device("meta"):
        loss = entry_networks(changed(voc12, recipe))["segtrain.deeplab"].build(SIZE)
    names = [name for name, one in loss.named_parameters() if one.requires_grad]
    assert len(names) == 112
    assert not any(re.search(r"\.bn\d\.|downsample\.1\.", name) for name in names)


# ---------------------------------------------------------------- one pass


@pytest.mark.parametrize("what", NAMES)
def test_pass_gives_every_parameter_that_learns_a_gradient(what, tiny_params):
    network = entry_networks(tiny_params)[what]
    loss = network.build(SIZE)
    loss(torch.randn(2, 3, *SIZE), *_twice(network.target(SIZE))).backward()
    silent = [name for name, one in loss.named_parameters() if one.requires_grad and one.grad is None]
    assert silent == []
    assert any(one.grad is not None and one.grad.abs().max() > 0 for one in loss.parameters())


def _twice(parts):
    return [torch.stack([part] * 2) for part in parts]


@pytest.mark.usefixtures("sizes")
@pytest.mark.parametrize("what", OTHERS)
def test_the_networks_of_other_systems_take_what_is_made_up_for_them(what, voc12):
    network = entry_networks(voc12)[what]
    loss = network.build(SIZE)
    value = loss(torch.randn(2, 3, *SIZE), *_twice(network.target(SIZE)))
    value.backward()
    assert value.isfinite()
    assert any(one.grad is not None and one.grad.abs().max() > 0 for one in loss.parameters())


@pytest.mark.parametrize("what", NAMES)
def test_pass_can_be_called(what, tiny_params, photo):
    Pass(entry_networks(tiny_params)[what], photo)()()


def test_networks_are_rows_of_the_plan_where_a_photograph_is_given(tiny_params, photo, tmp_path):
    method = tiny_params.method("PSA")
    work = plan(tiny_params, [], 1, False, 0, method, photo)
    row = work[0]()
    assert (row.what, row.size) == ("cams.irnet, resnet-small", "24 x 32 pixels")
    assert row.seconds > 0
    assert len(work) == len(NAMES)
    with pytest.raises(DataError, match=r"none\.jpg"):
        plan(tiny_params, [], 1, False, 0, method, tmp_path / "none.jpg")


# ---------------------------------------------------------------- a few updates


@pytest.mark.parametrize("what", ["cams.irnet", "affinity.affinitynet", "segtrain.deeplab"])
def test_a_short_training_and_its_parts_can_be_called(what, tiny_params, photo, monkeypatch):
    monkeypatch.setattr(trainings, "UPDATES", 2)
    short = ShortTraining(what, entry_networks(tiny_params)[what], (photo, photo), tiny_params.runtime)
    for prepare in (short.updates, short.forward, short.passes, short.loading):
        prepare()()
    assert pickle.loads(pickle.dumps(short)).size == short.size  # noqa: S301


def test_every_network_is_a_row_with_the_parts_of_an_update(tiny_params, made, monkeypatch):
    costs = iter([Cost(0.5, 0.5, 200, 100), Cost(2, 2, 200, 100), Cost(24, 24, 300, 100), Cost(0.25, 0.25, 200, 100)])
    monkeypatch.setattr(run, "measure", lambda *some, **more: next(costs))
    monkeypatch.chdir(made.root.parent)
    work = plan(tiny_params, [], 1, False, 0, tiny_params.method("PSA"), None, True)
    assert len(work) == len(NAMES)
    row = work[0]()
    batch = tiny_params.cams["irnet"].train.batch
    assert row.what == "cams.irnet, resnet-small"
    assert row.size.startswith(f"{batch} x 32 x 32, ")
    assert (row.update_seconds, row.forward_seconds, row.backward_seconds, row.loading_seconds) == (3, 0.5, 1.5, 0.25)
    assert row.images_per_second == pytest.approx(batch / 3)
    assert row.peak_mb == 300


# ---------------------------------------------------------------- at full size

FULL_SIZE = [
    *((what, {}) for what in NAMES),
    *(("segtrain.deeplab", {"segtrain.deeplab.backbone": one}) for one in ("resnet-101-caffe", "drn-d-105")),
]


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason=f"{PHOTOGRAPHS} is not on this machine")
@pytest.mark.parametrize(
    ("what", "values"), FULL_SIZE, ids=[" ".join([what, *values.values()]) for what, values in FULL_SIZE]
)
def test_ten_steps_at_full_size_lower_the_loss_on_four_photographs(what, values, voc12):
    """From new weights, so batch norms learn and nothing is frozen."""
    free = {f"{name if name == 'segtrain.deeplab' else f'{name}.train'}.frozen_stages": 0 for name in NAMES}
    free |= {"cams.irnet.train.freeze_norm": "none", "cams.psa.train.freeze_norm": "none"}
    params = changed(voc12, values | free | {"segtrain.deeplab.freeze_norm": "none"})
    network = entry_networks(params)[what]
    to_input = backbone_class(network.params.backbone).to_input
    files = list(islice(sorted(PHOTOGRAPHS.glob("*.jpg")), 4))
    x = torch.stack([to_input(load_photo(file)[:192, :192]) for file in files])
    size = (192, 192)
    torch.manual_seed(0)
    loss = network.build(size)
    targets = [torch.stack([part] * 4) for part in network.target(size)]
    fabric = Fabric(accelerator="cpu", devices=1)
    descent = Descent(loss, network.params, fabric=fabric, steps=10, section=what)
    losses = [descent.update([(x, *targets)]).loss for _ in range(10)]
    assert max(losses[-3:]) < losses[0]
