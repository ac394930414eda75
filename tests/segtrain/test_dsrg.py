"""The kind ``dsrg``: its loss, what it learns from few seeds, and the stage with it."""

import shutil

import numpy as np
import pytest
import torch
import yaml
from lightning_fabric import Fabric
from torch.nn import functional

from tests.chain import silent
from tests.conftest import changed
from wsgcn.errors import UsageError
from wsgcn.nets.base import to_input
from wsgcn.nets.deeplab import build_deeplab, load_deeplab
from wsgcn.params import parse_params
from wsgcn.segtrain.dsrg_fit import (
    GrowingLoss,
    boundary_loss,
    floored_softmax,
    grown_seeds,
    refined_probs,
    seeding_loss,
)
from wsgcn.segtrain.stage import train_segmentation
from wsgcn.store.files import read_table
from wsgcn.training.descent import Descent
from wsgcn.vocabulary import PRESET_FOLDER

STRUCTURE = {"backbone": "resnet-small", "output_stride": 8, "classes": 3, "dilations": [1, 2]}
OWN = ("growth", "crf", "softmax", "min_confidence")


def entry(preset):
    return yaml.safe_load((PRESET_FOLDER / f"{preset}.yaml").read_text())["segtrain"]["dsrg"]


@pytest.fixture
def params(tiny_params):
    """The small parameters with a method that trains so."""
    content = tiny_params.model_dump(mode="json")
    shared = {key: value for key, value in content["segtrain"]["deeplab"].items() if key != "input_scales"}
    own = {key: entry("voc12-mobile")[key] for key in OWN}
    own["optimiser"] = {"kind": "sgd", "momentum": 0.9, "weight_decay": 5.0e-4}
    content["segtrain"]["dsrg"] = shared | own | {"kind": "dsrg"}
    content["methods"]["DSRG"] = content["methods"]["IRNet"] | {"segtrain": "dsrg"}
    return parse_params(content, "test")


@pytest.fixture
def kind(params):
    return params.segtrain["dsrg"].model_copy(update={"freeze_norm": "none"})


def network():
    torch.manual_seed(0)
    return build_deeplab(STRUCTURE, None)


@pytest.mark.parametrize("preset", ["voc12", "voc12-mobile"])
def test_presets_have_the_published_growth_and_crf(preset):
    numbers = entry(preset)
    assert numbers["growth"] == {"foreground": 0.85, "background": 0.99}
    assert numbers["crf"]["bilateral_sxy"] / 8 == pytest.approx(80 / 12, abs=1e-4)
    assert numbers["crf"]["gaussian_sxy"] / 8 == 3 / 12
    assert numbers["softmax"] is True


# ---------------------------------------------------------------- loss


def four_pictures():
    """Four pictures: left half green, class 1, and right half blue, background; a few cells of each are seeds."""
    rgb_u8 = np.zeros((64, 64, 3), dtype=np.uint8)
    rgb_u8[:, :32, 1], rgb_u8[:, 32:, 2] = 200, 200
    seeds = torch.full((4, 64, 64), 255, dtype=torch.uint8)
    seeds[:, 24:40, 8:16], seeds[:, 24:40, 48:56] = 1, 0
    return torch.stack([to_input(rgb_u8)] * 4), seeds, torch.ones(4, 64, 64).bool(), torch.tensor([[1.0, 0.0]] * 4)


def test_the_loss_is_both_losses_of_what_has_grown(kind):
    photos, seeds, inside, shown = four_pictures()
    inside[:, 48:] = False
    net = network()
    net.aspp.branches[0].bias.data += torch.tensor([0.0, 6.0, 0.0])  # it calls everything class 1
    loss = GrowingLoss(net, kind).eval()
    with torch.no_grad():
        probs = floored_softmax(net(photos))
        refined = refined_probs(probs, net.backbone.to_rgb_u8(photos), kind.crf, kind.softmax, 8)
        cells = seeds[:, 4::8, 4::8].long()
        everywhere = grown_seeds(cells, refined, torch.tensor([[True, True, False]] * 4), kind.growth)
        labels = everywhere.clone()
        labels[:, 6:] = 255  # below the photograph
        expected = seeding_loss(probs, labels) + boundary_loss(probs, refined)
        assert loss(photos, seeds, inside, shown).item() == pytest.approx(expected.item(), rel=1e-5)
    assert (everywhere[:, 6:] == 1).any()
    assert (labels == 1).sum() > (cells == 1).sum()


def test_classes_that_the_photograph_does_not_show_grow_nowhere(kind):
    photos, seeds, inside, shown = four_pictures()
    net = network()
    net.aspp.branches[0].bias.data += torch.tensor([0.0, 6.0, 0.0])
    loss = GrowingLoss(net, kind).eval()
    with torch.no_grad():
        probs = floored_softmax(net(photos))
        refined = refined_probs(probs, net.backbone.to_rgb_u8(photos), kind.crf, kind.softmax, 8)
        cells = seeds[:, 4::8, 4::8].long()
        cells[cells == 1] = 255
        expected = seeding_loss(
            probs, grown_seeds(cells, refined, torch.tensor([[True, False, False]] * 4), kind.growth)
        )
        expected = expected + boundary_loss(probs, refined)
        found = loss(photos, seeds, inside, torch.zeros_like(shown))
        assert found.item() == pytest.approx(expected.item(), rel=1e-5)
        assert found.item() != pytest.approx(loss(photos, seeds, inside, shown).item(), rel=1e-4)


def test_few_seeds_teach_whole_regions(kind):
    net, batch = network(), four_pictures()
    # With three classes the published weight of 10 makes a certainty of any lead that new weights give a class.
    kind = kind.model_copy(update={"steps": 40, "crf": kind.crf.model_copy(update={"bilateral_compat": 2})})
    descent = Descent(
        GrowingLoss(net, kind), kind, fabric=Fabric(accelerator="cpu", devices=1), steps=40, section="segtrain.dsrg"
    )
    steps = [descent.update([batch]) for _ in range(40)]
    assert steps[-1].loss < 0.2 * steps[0].loss
    with torch.no_grad():
        found = functional.interpolate(net.eval()(batch[0]), size=64, mode="bilinear").argmax(1)
    assert (found[..., :24] == 1).float().mean() > 0.95
    assert (found[..., 40:] == 0).float().mean() > 0.95


def test_photographs_without_seeds_are_survived(kind):
    photos, seeds, inside, shown = four_pictures()
    loss = GrowingLoss(network(), kind)(photos, torch.full_like(seeds, 255), inside, shown)
    loss.backward()
    assert torch.isfinite(loss)


def test_diverging_training_ends_in_advice(kind):
    photos, *others = four_pictures()
    fabric = Fabric(accelerator="cpu", devices=1)
    descent = Descent(GrowingLoss(network(), kind), kind, fabric=fabric, steps=1, section="segtrain.dsrg")
    with pytest.raises(UsageError, match=r"loss is nan at step 0: choose a smaller segtrain\.dsrg\.lr"):
        descent.update([(photos * torch.nan, *others)])


# ---------------------------------------------------------------- stage


def test_the_stage_trains_a_network_alike_each_time(params, made, tmp_path):
    for stage in ("propagate", "crf"):
        shutil.copytree(made.folder(stage, "IRNet"), made.folder(stage, "DSRG"))
    states = []
    for store in ("one", "two"):
        again = changed(
            params,
            {"runtime.store": str(tmp_path / store), "segtrain.dsrg.steps": 3, "segtrain.dsrg.min_confidence": 0.5},
        )
        train_segmentation(again, made, again.method("DSRG"), silent)
        states.append(load_deeplab(made.checkpoint("segtrain", "DSRG"), torch.device("cpu")).state_dict())
        assert read_table(made.history("segtrain", "DSRG"))[-1]["step"] == "3"
    assert all(torch.equal(one, states[1][name]) for name, one in states[0].items())
