"""The training's core: groups, loss, learning, repeatability."""

import pytest
import torch
from lightning_fabric import Fabric
from torch.nn import functional

from tests.conftest import changed
from wsgcn.errors import UsageError
from wsgcn.nets.base import norms
from wsgcn.nets.deeplab import build_deeplab
from wsgcn.segtrain.fit import SegmentationLoss, parameter_groups, segmentation_loss
from wsgcn.training.check import BestWeights
from wsgcn.training.descent import Descent

SETTINGS = {"backbone": "resnet-small", "output_stride": 8, "classes": 3, "dilations": [1, 2]}


@pytest.fixture
def params(tiny_params):
    return changed(
        tiny_params,
        {
            "segtrain.deeplab.steps": 30,
            "segtrain.deeplab.optimiser": {"kind": "sgd", "momentum": 0.9, "weight_decay": 5.0e-4},
        },
    ).segtrain["deeplab"]


def network():
    torch.manual_seed(0)
    return build_deeplab(SETTINGS, None)


def fit(net, batches, params):
    loss, fabric = SegmentationLoss(net, params), Fabric(accelerator="cpu", devices=1)
    descent = Descent(loss, params, fabric=fabric, steps=params.steps, section="segtrain.deeplab")
    together = params.accumulate
    return [descent.update(batches[first : first + together]) for first in range(0, len(batches), together)]


def four_pictures():
    """Four pictures whose left half is class 1, green, and right half class 2, blue."""
    photos, labels = torch.zeros(4, 3, 32, 32), torch.full((4, 32, 32), 1, dtype=torch.uint8)
    labels[..., 16:] = 2
    photos[:, 1, :, :16], photos[:, 2, :, 16:] = 1, 1
    return photos, labels


# ---------------------------------------------------------------- groups


def test_every_parameter_is_in_one_group_with_its_rate(params):
    net = network()
    rates = {"lr": 0.02, "head_lr_factor": 10.0, "head_bias_lr_factor": 30.0}
    backbone, weights, biases = parameter_groups(net, params.model_copy(update=rates))
    rates = {id(one): group["lr"] for group in (backbone, weights, biases) for one in group["params"]}
    assert len(rates) == sum(len(group["params"]) for group in (backbone, weights, biases))
    for name, parameter in net.named_parameters():
        factor = 1 if name.startswith("backbone.") else 10 if name.endswith("weight") else 30
        assert rates.pop(id(parameter)) == pytest.approx(0.02 * factor), name
    assert not rates
    assert biases["weight_decay"] == 0
    assert "weight_decay" not in backbone
    assert "weight_decay" not in weights


# ---------------------------------------------------------------- loss


def test_loss_is_the_mean_over_labelled_cells_summed_over_scales():
    torch.manual_seed(2)
    labels = torch.randint(0, 3, (2, 8, 12), dtype=torch.uint8)
    labels[:, :3] = 255
    scaled = [torch.randn(2, 3, 8, 12), torch.randn(2, 3, 4, 6)]
    # At half the size, nearest-exact takes the pixel at twice the cell plus one.
    expected = functional.cross_entropy(scaled[0], labels.long(), ignore_index=255)
    expected += functional.cross_entropy(scaled[1], labels[:, 1::2, 1::2].long(), ignore_index=255)
    assert segmentation_loss(scaled, labels).item() == pytest.approx(expected.item(), rel=1e-6)


def test_nothing_labelled_gives_zero_and_no_nan():
    """Pitfall P5: PyTorch's own mean over no cell is NaN, and one such batch ruins a network."""
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    loss = segmentation_loss([logits], torch.full((2, 32, 32), 255, dtype=torch.uint8))
    loss.backward()
    assert loss.item() == 0
    assert torch.all(logits.grad == 0)


# ---------------------------------------------------------------- steps


def test_training_lowers_the_loss_on_four_pictures(params):
    net = network()
    steps = fit(net, [four_pictures()] * 30, params)
    assert [step.number for step in steps] == list(range(30))
    assert steps[-1].loss < 0.2 * steps[0].loss
    photos, labels = four_pictures()
    with torch.no_grad():
        found = functional.interpolate(net.eval()(photos), size=32, mode="bilinear").argmax(1)
    assert (found == labels).float().mean() > 0.9


def test_learning_rate_follows_the_poly_formula(params):
    steps = fit(network(), [four_pictures()] * 30, params)
    expected = [params.lr * (1 - step / 30) ** params.poly_power for step in range(30)]
    assert [step.lr for step in steps] == pytest.approx(expected)


def test_same_start_and_batches_give_the_same_network(params):
    first, second = network(), network()
    losses = [[step.loss for step in fit(net, [four_pictures()] * 4, params)] for net in (first, second)]
    assert losses[0] == losses[1]
    assert all(torch.equal(one, second.state_dict()[key]) for key, one in first.state_dict().items())


def test_several_scales_train_with_the_maximum(params):
    several = params.model_copy(update={"input_scales": (1.0, 0.75, 0.5)})
    one, more = ([step.loss for step in fit(network(), [four_pictures()] * 1, p)] for p in (params, several))
    assert more[0] == pytest.approx(4 * one[0], rel=0.2)  # three scales and their maximum


def test_frozen_norms_stay_as_loaded(params):
    net = network()
    before = [one.clone() for norm in norms(net) for one in norm.state_dict().values()]
    fit(net, [four_pictures()] * 2, params.model_copy(update={"freeze_norm": "all"}))
    assert all(
        torch.equal(a, b) for a, b in zip(before, (o for norm in norms(net) for o in norm.state_dict().values()))
    )


def test_unlabelled_batch_is_survived(params):
    photos, labels = four_pictures()
    steps = fit(network(), [(photos, torch.full_like(labels, 255)), (photos, labels)], params)
    assert steps[0].loss == 0
    assert steps[1].loss > 0


def test_diverging_training_ends_in_advice(params):
    photos, labels = four_pictures()
    with pytest.raises(UsageError, match=r"loss is nan at step 0: choose a smaller segtrain\.deeplab\.lr"):
        list(fit(network(), [(photos * torch.nan, labels)], params))


def test_two_halves_accumulate_to_the_whole_batch(params):
    photos, labels = four_pictures()
    frozen = params.model_copy(update={"freeze_norm": "all", "accumulate": 1})
    whole, halves = network(), network()
    (at_once,) = fit(whole, [(photos, labels)], frozen)
    batches = [(photos[:2], labels[:2]), (photos[2:], labels[2:])]
    (in_two,) = fit(halves, batches, frozen.model_copy(update={"accumulate": 2}))
    assert in_two.loss == pytest.approx(at_once.loss, rel=1e-5)
    assert (in_two.number, in_two.lr) == (0, at_once.lr)
    for key, one in whole.state_dict().items():
        assert torch.allclose(one, halves.state_dict()[key], atol=1e-6), key


def test_a_measurement_is_the_mean_recall_and_the_cross_entropy(params):
    """Of crops at the logits' resolution, with cells that are not labelled."""
    loss = SegmentationLoss(network(), params.model_copy(update={"input_scales": (1.0,)}))
    generator = torch.Generator().manual_seed(0)
    photos = torch.rand(3, 3, 32, 32, generator=generator)
    labels = torch.randint(0, 3, (3, 32, 32), generator=generator).to(torch.uint8)
    labels[:, :8] = 255
    loss.eval().requires_grad_(False)
    with torch.no_grad():
        logits = loss.network(photos)
        found = loss.measured(sum(loss.counts([photos[part], labels[part]]) for part in (slice(2), slice(2, 3))))
    cells = labels[:, 4::8, 4::8].long()
    there = cells != 255
    expected = functional.cross_entropy(logits, cells, ignore_index=255)
    assert found.loss == pytest.approx(float(expected), rel=1e-5)
    recalls = [(logits.argmax(1) == cells)[there & (cells == one)].float().mean() for one in range(3)]
    assert found.accuracy == pytest.approx(float(torch.stack(recalls).mean()))
    assert found.chance == pytest.approx(1 / 3)
    one_class = loss.measured(loss.counts([photos, torch.zeros_like(labels)]))
    assert one_class.chance == 1


def test_a_measurement_of_nothing_is_never_the_best(params):
    loss, (photos, labels) = SegmentationLoss(network(), params).eval(), four_pictures()
    best = BestWeights(patience=5)
    with torch.no_grad():
        for shown in (torch.full_like(labels, 255), labels, torch.full_like(labels, 255)):
            loss.network.aspp.branches[0].bias.data += 1
            found = loss.measured(loss.counts([photos, shown]))
            best.seen(found.loss, loss)
            if (shown == labels).all():
                kept = loss.network.aspp.branches[0].bias.clone()
    assert (found.loss, found.accuracy) == (float("inf"), 0)
    best.give(loss)
    assert torch.equal(loss.network.aspp.branches[0].bias, kept)
