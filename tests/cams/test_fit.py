"""The classifier's training: its targets, its crops, its loss."""

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch.nn import functional

from tests.conftest import changed
from wsgcn.cams.fit import ClassifierLoss, ClassifierSample, scale_range, train_classifier
from wsgcn.cams.net import build_cam_net

COLOURS = {"r0": (200, 40, 40), "r1": (180, 60, 50), "b0": (40, 40, 200), "b1": (50, 60, 180)}


def _load(name):
    return np.full((40, 40, 3), COLOURS[name], np.uint8)


def _train(tiny_params, tmp_path, steps, name="cams-train", label="cams-train I", section="cams.irnet.train"):
    """A classifier of red photographs, class 1, and blue ones, class 2, and its history."""
    params = changed(tiny_params, {"cams.irnet.train.steps": steps, "cams.irnet.train.batch": 4}).cams["irnet"].train
    torch.manual_seed(0)
    net = build_cam_net(params, 3, pretrained=False)
    labels = {name: (1,) if name[0] == "r" else (2,) for name in COLOURS}
    fabric = Fabric(accelerator="cpu", devices=1)
    named = {"name": name, "label": label, "section": section, "unfinished": tmp_path / "unfinished"}
    sample = ClassifierSample(labels, _load, params, 2, net.backbone.to_input)
    return net, train_classifier(ClassifierLoss(net, params), sample, labels, params, 0, fabric, **named)


def test_training_learns_colours_and_follows_the_schedule(tiny_params, tmp_path):
    """The loss falls to a fraction."""
    net, (history, learned) = _train(tiny_params, tmp_path, "15 epochs")
    assert [step.number for step in history] == list(range(15))
    assert history[-1].loss < 0.3 * history[0].loss
    assert learned["balanced_accuracy"] > learned["chance"]
    rates = [step.lr for step in history]
    assert rates[0] == pytest.approx(tiny_params.cams["irnet"].train.lr)
    assert rates == sorted(rates, reverse=True)
    assert not net.training


def test_crops_are_drawn_by_the_trainings_name_and_not_by_a_text(tiny_params, tmp_path):
    _, before = _train(tiny_params, tmp_path, 2)
    _, same = _train(tiny_params, tmp_path, 2, label="another text", section="another.section")
    _, other = _train(tiny_params, tmp_path, 2, name="another training")
    assert same == before
    assert other != before


@pytest.mark.parametrize(("long_side", "expected"), [(500, (0.64, 1.28)), (320, (1.0, 2.0))])
def test_range_of_the_longer_side_becomes_a_range_of_factors(tiny_params, long_side, expected):
    values = {"cams.irnet.train.scale": None, "cams.irnet.train.long_side": (320, 640)}
    assert scale_range(changed(tiny_params, values).cams["irnet"].train, long_side) == expected
    own = tiny_params.cams["irnet"].train
    assert scale_range(own, long_side) == own.scale


def test_a_measurement_is_the_mean_recall_and_the_cross_entropy(tiny_params):
    """Of a class that no photograph shows nothing counts but its cost."""
    params = tiny_params.cams["irnet"].train
    loss = ClassifierLoss(build_cam_net(params, 4, pretrained=False), params)
    logits = torch.tensor([[2.0, -1.0, -3.0], [1.0, 1.0, -3.0], [-1.0, -2.0, 3.0]])
    shown = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    loss.net.forward = lambda x: x
    found = loss.measured(sum(loss.counts([logits[part], shown[part]]) for part in (slice(2), slice(2, 3))))
    # with the first class 1 of 2, without it 0 of 1; with the second 1 of 1, without it 2 of 2
    assert found.accuracy == pytest.approx((1 / 2 + 0 + 1 + 1) / 4)
    assert found.chance == 0.5
    everywhere = loss.measured(loss.counts([logits, torch.tensor([[1.0, 0.0, 0.0]]).expand(3, 3)]))
    assert everywhere.chance == 1  # whoever says yes to the first class is right
    assert found.loss == pytest.approx(float(functional.binary_cross_entropy_with_logits(logits, shown)), abs=1e-6)
