"""SEAM's losses beside their slow twins, and what learns from which."""

import numpy as np
import pytest
import torch

from tests.cams.seam_cases import CLASSES, photos, seam_params
from tests.reference import seam as reference
from wsgcn.cams.seam_fit import SeamLoss, class_loss, equivariance, hardest, min_pooling, normalised
from wsgcn.cams.seam_net import SeamMaps
from wsgcn.nets.base import freeze_stages
from wsgcn.params import load_params
from wsgcn.vocabulary import PRESET_FOLDER

SHOWN = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
SHARE = 0.2


@pytest.fixture
def seam(tiny_params):
    """A source, its loss, and a batch."""
    source = seam_params(tiny_params, freeze_norm="all").cams["seam"]
    torch.manual_seed(0)
    return source, source.loss(source.network(CLASSES, pretrained=False)), photos(2, 40, 48)


def view(height, width, seed):
    """Maps as a network may give them."""
    generator = torch.Generator().manual_seed(seed)
    cams = torch.randn((2, CLASSES - 1, height, width), generator=generator)
    return SeamMaps(cams, torch.rand((2, CLASSES, height, width), generator=generator))


def as_arrays(one, number):
    return tuple(part[number].double().numpy() for part in one)


def test_every_loss_is_that_of_its_twin():
    whole, small = view(15, 21, 0), view(4, 6, 1)
    found = torch.stack(
        [
            (class_loss(whole, SHOWN) + class_loss(small, SHOWN)) / 2,
            (min_pooling(whole, SHOWN) + min_pooling(small, SHOWN)) / 2,
            *equivariance(whole, small, SHOWN, SHARE),
        ]
    )
    for number in range(2):
        expected = reference.losses(*(as_arrays(one, number) for one in (whole, small)), SHOWN[number].tolist(), SHARE)
        np.testing.assert_allclose(found[:, number], expected, rtol=1e-4)
        assert min(expected) > 0


def test_the_loss_is_the_sum_of_all_averaged_over_the_photographs(seam):
    source, loss, x = seam
    loss.eval()
    with torch.no_grad():
        small = torch.nn.functional.interpolate(x, size=(12, 14), mode="bilinear", align_corners=True)
        views = [loss.net.maps(one) for one in (x, small)]
        totals = [
            sum(reference.losses(*(as_arrays(one, number) for one in views), SHOWN[number].tolist(), SHARE))
            for number in range(2)
        ]
        assert float(loss(x, SHOWN)) == pytest.approx(np.mean(totals), rel=1e-4)
        free = SeamLoss(loss.net, source.train.model_copy(update={"min_pooling": 0.0})).eval()
        rest = float(loss(x, SHOWN) - free(x, SHOWN))
        assert rest == pytest.approx(float(sum(min_pooling(one, SHOWN) for one in views).mean() / 2), rel=1e-4)


def test_equivariant_maps_have_no_er():
    """A linear ramp is the same ramp at every size, corner to corner."""
    ramps = [torch.linspace(0, 1, width).expand(2, CLASSES - 1, 6, width) for width in (21, 6)]
    revised = [torch.cat([1 - one[:, :1], one], dim=1) for one in ramps]
    first, _ = equivariance(SeamMaps(ramps[0], revised[0]), SeamMaps(ramps[1], revised[1]), SHOWN, SHARE)
    assert first.abs().max() < 1e-4
    turned, _ = equivariance(SeamMaps(ramps[0], revised[0]), SeamMaps(ramps[1].flip(3), revised[1]), SHOWN, SHARE)
    assert turned.min() > 0.1


def test_goals_are_constants_that_no_loss_changes():
    """Pitfall P13: the public code leaves out the weaker classes in the very maps that ER has compared."""
    whole, small = view(15, 21, 0), view(4, 6, 1)
    for one in (whole, small):
        one.cams.requires_grad_()
    before = [one.cams.detach().clone() for one in (whole, small)]
    first, second = equivariance(whole, small, SHOWN, SHARE)
    assert not second.requires_grad
    assert first.requires_grad
    assert all(torch.equal(one.cams, other) for one, other in zip((whole, small), before, strict=True))


def test_the_hardest_part_counts():
    differences = torch.tensor([[1.0, -5, 2, 3, -4, 0, 0, 0, 0, 0]]).reshape(1, 2, 1, 5)
    assert hardest(differences, 0.2).tolist() == [4.5]
    assert hardest(differences, 1).tolist() == [1.5]
    assert hardest(differences, 0.01).tolist() == [5]


def test_the_quarter_where_the_shown_classes_are_weakest_should_be_free():
    revised = torch.zeros(1, 3, 2, 4)
    revised[0, 1] = torch.tensor([[0.1, 0.3, 0.5, 0.7], [0.2, 0.4, 0.6, 0.8]])
    revised[0, 2] = 0.25
    maps = SeamMaps(revised[:, 1:], revised)
    assert float(min_pooling(maps, torch.tensor([[1.0, 0.0]]))) == pytest.approx(0.15)
    assert float(min_pooling(maps, torch.tensor([[1.0, 1.0]]))) == pytest.approx(0.25)
    assert float(min_pooling(maps, torch.tensor([[0.0, 0.0]]))) == 0


def test_a_flat_map_is_nowhere_strong():
    maps = torch.tensor([[0.5, 0.5], [-1.0, 3.0]]).reshape(1, 2, 1, 2)
    torch.testing.assert_close(
        normalised(maps), torch.tensor([[0, 0], [0, 1.0]]).reshape(1, 2, 1, 2), rtol=0, atol=1e-4
    )


def test_classifier_and_module_learn_faster_than_the_backbone(seam):
    source, loss, _ = seam
    names = {id(one): name for name, one in loss.named_parameters()}
    rates = {names[id(one)]: group["lr"] for group in loss.groups() for one in group["params"]}
    assert rates.keys() == dict(loss.named_parameters()).keys()
    for name, rate in rates.items():
        factor = 1 if name.startswith("net.backbone.") else source.train.head_lr_factor
        assert rate == pytest.approx(source.train.lr * factor), name


def test_every_parameter_that_learns_gets_a_gradient(seam):
    _, loss, x = seam
    loss(x, SHOWN).backward()
    learning = {name for name, one in loss.named_parameters() if one.requires_grad}
    assert {name for name, one in loss.named_parameters() if one.grad is not None} == learning
    assert all(loss.get_parameter(name).grad.abs().max() > 0 for name in learning)


@pytest.fixture
def published():
    """The source of preset ``voc12``."""
    return load_params(PRESET_FOLDER / "voc12.yaml").cams["seam"]


def test_as_many_parameters_learn_as_published_and_at_its_rates(published):
    """35 convolutions behind ``b2_2``, and the four new ones; ``tests/parity`` counts them in the public module."""
    with torch.device("meta"):
        net = published.network(21, pretrained=False)
        freeze_stages(net.backbone, published.train.frozen_stages)
        backbone, head = published.loss(net).groups()
    found = [[one for one in group["params"] if one.requires_grad] for group in (backbone, head)]
    assert [len(one) for one in found] == [35, 4]
    assert [group["lr"] for group in (backbone, head)] == pytest.approx([0.01, 0.1])


def test_published_optimiser_has_no_momentum(published):
    """Pitfall P1: SEAM's optimiser takes the weight decay for the momentum; its 0.9 is the schedule's power."""
    train = published.train
    parameter = torch.nn.Parameter(torch.zeros(1))
    (group,) = train.optimiser.build([{"params": [parameter], "lr": train.lr}]).param_groups
    assert (group["lr"], group["momentum"], group["weight_decay"], train.poly_power) == (0.01, 0, 5e-4, 0.9)


def test_half_precision_changes_the_loss_little(seam):
    """``runtime.precision: bf16-mixed``: what is multiplied has 8 bits, what is compared 24."""
    _, loss, x = seam
    loss.eval()
    with torch.no_grad():
        exact = float(loss(x, SHOWN))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = loss(x, SHOWN)
    assert rounded.dtype == torch.float32
    assert float(rounded) == pytest.approx(exact, rel=0.02)
