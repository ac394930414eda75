"""RRM's joint training: groups, labels, loss, learning, repeatability, what a sample is, where it starts."""

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from pydantic import ValidationError
from torch.nn import functional

from tests.parity.public import photo
from tests.reference.reliable import sure_labels_slow
from wsgcn.nets.base import to_input
from wsgcn.nets.deeplab import build_deeplab
from wsgcn.ops.dense_energy import dense_energy
from wsgcn.ops.densecrf import dense_crf
from wsgcn.ops.resize import downscale_rgb
from wsgcn.ops.scores import with_background
from wsgcn.segtrain.rrm import Rrm
from wsgcn.segtrain.rrm_fit import RrmLoss, balanced_cross_entropy
from wsgcn.segtrain.sample import PseudoLabels, TaggedSample
from wsgcn.store.label_maps import save_label_map
from wsgcn.training.descent import Descent

CRF = {"iterations": 3, "gaussian_sxy": 3, "gaussian_compat": 3}
CRF |= {"bilateral_sxy": 20, "bilateral_srgb": 13, "bilateral_compat": 10}
PARAMS = Rrm.model_validate(
    {
        **{"kind": "rrm", "backbone": "resnet-small", "weights": None, "trained": None, "output_stride": 8},
        **{"frozen_stages": 0, "aspp_dilations": [1, 2], "steps": 30, "batch": 4, "accumulate": 1, "crop": 48},
        **{"scale": [0.8, 1.2], "lr": 0.01, "head_lr_factor": 10, "head_bias_lr_factor": 20, "warmup_steps": 0},
        **{"optimiser": {"kind": "sgd", "momentum": 0.9, "weight_decay": 1e-5}, "poly_power": 0.9, "average": 0},
        **{"check": None, "freeze_norm": "all", "labels": "own", "dropout": 0.5},
        "reliable": {
            **{"stride": 1, "scales": [1.0, 0.5], "alphas": [4, 32], "crf": CRF, "min_prob": 0.8},
            **{"confident_share": 0.4, "cam_floor": 0.1, "min_background": 0.8},
        },
        "energy": {"weight": 1e-4, "scale": 0.5, "sigma_xy": 20, "sigma_rgb": 15},
    }
)
METHOD = PARAMS.model_copy(update={"labels": "method"})


def loss_of(params=PARAMS):
    torch.manual_seed(0)
    return RrmLoss(
        build_deeplab({"backbone": "resnet-small", "output_stride": 8, "classes": 4, "dilations": [1]}, None), params
    )


def batch(labels=255):
    rgb_u8 = [photo(48, 48), photo(48, 48)[::-1]]
    photos = torch.stack([to_input(one) for one in rgb_u8])
    inside = torch.ones(2, 48, 48, dtype=torch.bool)
    inside[1, :, 40:] = False
    photos[1, :, :, 40:] = 0
    given = torch.full((2, 48, 48), 255, dtype=torch.uint8)
    given[:, :20, :20], given[:, 30:, :20] = labels, 0 if labels != 255 else 255
    return photos, given, inside, torch.tensor([[1.0, 0, 1], [0, 1, 0]])


def learn(loss, batches, params, precision="32-true"):
    fabric = Fabric(accelerator="cpu", devices=1, precision=precision)
    descent = Descent(loss, params, fabric=fabric, steps=params.steps, section="rrm")
    torch.manual_seed(1)  # of the dropout
    return [descent.update([one]).loss for one in batches]


# ---------------------------------------------------------------- groups


def test_every_parameter_is_in_one_group_with_its_rate():
    loss = loss_of()
    rates = {id(one): group["lr"] for group in loss.groups() for one in group["params"]}
    assert sum(len(group["params"]) for group in loss.groups()) == len(rates) == len(list(loss.parameters()))
    assert rates[id(loss.classifier.weight)] == pytest.approx(0.1)
    assert rates[id(loss.network.backbone.conv1.weight)] == pytest.approx(0.01)


# ---------------------------------------------------------------- labels


@pytest.mark.parametrize("stride", [1, 2])
def test_own_labels_are_those_of_the_live_maps_within_the_photograph(stride):
    """The mean of both scales' maps, each class divided by its maximum, and the slow rule."""
    reliable = PARAMS.reliable.model_copy(update={"stride": stride, "confident_share": 0.9, "min_prob": 0.5})
    loss = loss_of(PARAMS.model_copy(update={"reliable": reliable})).eval()
    photos, given, inside, shown = batch()
    with torch.no_grad():
        features = loss.network.backbone(photos)[-1]
        found = loss._targets(features, photos, given, inside, shown)
        half = functional.interpolate(photos, size=(24, 24), mode="bilinear")
        maps = [torch.relu(loss.classifier(loss.network.backbone(one)[-1])) for one in (photos, half)]
    large = functional.interpolate(maps[1], size=maps[0].shape[2:], mode="bilinear")
    cells = 48 // stride
    maps = functional.interpolate((maps[0] + large) / 2, size=(cells, cells), mode="bilinear").numpy()
    for number, ids in enumerate(([1, 3], [2])):
        cams = maps[number, [one - 1 for one in ids]]
        cams = cams / (cams.max(axis=(1, 2), keepdims=True) + 1e-5)
        rgb_u8 = [photo(48, 48), photo(48, 48)[::-1].copy()][number]
        rgb_u8[~inside[number].numpy()] = (124, 116, 104)  # the mean colour
        small = downscale_rgb(rgb_u8, (cells, cells))
        low, high = (dense_crf(with_background(cams, alpha), small, reliable.crf, stride) for alpha in (4, 32))
        rule = {"min_prob": 0.5, "confident_share": 0.9, "cam_floor": 0.1, "min_background": 0.8}
        slow = np.array([0, *ids, *[255] * 253], np.uint8)[sure_labels_slow(cams, low, high, alpha_high=32, **rule)]
        expected = np.where(inside[number].numpy(), slow.repeat(stride, 0).repeat(stride, 1), 255)
        np.testing.assert_array_equal(found[number].numpy(), expected)
        assert len(np.unique(expected)) > 1


def test_given_labels_are_taken_as_they_are(monkeypatch):
    monkeypatch.setattr("wsgcn.segtrain.rrm_fit.reliable_labels", None)
    photos, given, inside, shown = batch(labels=2)
    assert loss_of(METHOD)._targets(photos, photos, given, inside, shown) is given


# ---------------------------------------------------------------- loss


def test_cross_entropy_weighs_background_as_much_as_all_classes():
    logits = torch.randn(2, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    labels = torch.zeros(2, 5, 6, dtype=torch.uint8)
    labels[0, 0, :3], labels[1, 2, 2], labels[1, 4] = 1, 3, 255
    logs = logits.log_softmax(1)
    costs = {True: [], False: []}
    for b, y, x in np.ndindex(2, 5, 6):
        if (label := int(labels[b, y, x])) != 255:
            costs[label == 0].append(-logs[b, label, y, x].item())
    expected = np.mean(costs[True]) + np.mean(costs[False])
    assert balanced_cross_entropy(logits, labels).item() == pytest.approx(expected, rel=1e-5)
    labels[labels > 0] = 255
    assert balanced_cross_entropy(logits, labels).item() == pytest.approx(np.mean(costs[True]), rel=1e-5)


def test_loss_is_classification_cross_entropy_and_energy():
    loss = loss_of(METHOD).eval()
    photos, labels, inside, shown = batch(labels=2)
    with torch.no_grad():
        features = loss.network.backbone(photos)[-1]
        logits = functional.interpolate(loss.network(photos), size=(48, 48), mode="bilinear", align_corners=False)
        classes = loss.classifier(features).mean(dim=(2, 3))
        rgb_u8 = loss.network.backbone.to_rgb_u8(photos)
        energy = dense_energy(
            logits.softmax(1), rgb_u8, labels, inside, scale=0.5, sigma_xy=20.0, sigma_rgb=15.0
        ).mean()
        expected = functional.binary_cross_entropy_with_logits(classes, shown, reduction="none").mean(1).sum() / 2
        expected += balanced_cross_entropy(logits, labels) + 1e-4 * energy
        assert loss(photos, labels, inside, shown).item() == pytest.approx(expected.item(), rel=1e-5)
    np.testing.assert_array_equal(rgb_u8[0].permute(1, 2, 0).numpy(), photo(48, 48))


def test_without_a_weight_there_is_no_energy(monkeypatch):
    monkeypatch.setattr("wsgcn.segtrain.rrm_fit.dense_energy", None)
    without = METHOD.model_copy(update={"energy": METHOD.energy.model_copy(update={"weight": 0.0})})
    assert loss_of(without)(*batch(labels=2)).item() > 0


# ---------------------------------------------------------------- learning


@pytest.mark.parametrize("params", [PARAMS, METHOD], ids=["own", "method"])
def test_training_lowers_the_loss_and_repeats(params):
    batches = [batch(labels=2)] * 12
    first, second = (loss_of(params) for _ in range(2))
    losses = [learn(one, batches, params) for one in (first, second)]
    assert losses[0] == losses[1]
    assert losses[0][-1] < losses[0][0]
    assert all(torch.equal(one, second.state_dict()[key]) for key, one in first.state_dict().items())


@pytest.mark.parametrize("params", [PARAMS, METHOD], ids=["own", "method"])
def test_mixed_precision_learns_alike(params):
    """Lightning Fabric hands over all floating-point numbers of a batch in 16 bits."""
    exact, mixed = (learn(loss_of(params), [batch(labels=2)] * 2, params, one) for one in ("32-true", "bf16-mixed"))
    assert mixed == pytest.approx(exact, rel=0.05)


def test_colours_are_told_from_inputs_in_any_precision():
    net, rgb_u8 = loss_of().network.backbone, photo(48, 48)
    found = [
        net.to_rgb_u8(to_input(rgb_u8)[None].to(kind))[0].permute(1, 2, 0) for kind in (torch.float32, torch.bfloat16)
    ]
    np.testing.assert_array_equal(found[0].numpy(), rgb_u8)
    assert np.abs(found[1].numpy().astype(int) - rgb_u8).max() <= 1


def test_energy_and_classification_alone_teach_where_nothing_is_labelled():
    loss = loss_of(METHOD)
    loss(*batch()).backward()
    assert loss.network.aspp.branches[0].weight.grad.abs().max() > 0
    assert loss.classifier.weight.grad.abs().max() > 0


def test_live_maps_teach_only_through_their_labels():
    """No gradient flows from the maps: the classifier learns the classes alone."""
    grads = []
    for params in (PARAMS, METHOD):
        loss = loss_of(params).eval()
        loss(*batch(labels=2)).backward()
        grads.append(loss.classifier.weight.grad)
    torch.testing.assert_close(*grads)


def test_measurement_is_by_the_labels_that_teach():
    loss = loss_of(METHOD).eval()
    with torch.no_grad():
        number = loss.counts(batch(labels=2))[:, 0]
    assert number[[1, 3]].tolist() == [0, 0]
    assert (number[[0, 2]] > 0).all()
    own = loss_of().eval()
    with torch.no_grad():
        assert own.counts(batch()).shape == (4, 3)


# ---------------------------------------------------------------- sample


@pytest.mark.parametrize("own", [True, False])
def test_sample_is_a_crop_with_all_that_is_known_of_it(tiny_index, tmp_path, own):
    image = tiny_index.split("train")[0]
    labels = PseudoLabels(tmp_path, tmp_path, 0)
    save_label_map(labels.files(image.id)[0], np.full((image.height, image.width), 1, np.uint8), "")
    sample = TaggedSample(tiny_index, None if own else labels, 200, (1, 1), to_input)
    photo_, found, inside, shown = sample(image, torch.Generator().manual_seed(0))
    assert photo_.shape == (3, 200, 200)
    assert inside.sum() == image.height * image.width
    assert (photo_[:, ~inside] == 0).all()
    assert (found[~inside] == 255).all()
    assert (found[inside] == (255 if own else 1)).all()
    assert [place + 1 for place in shown.nonzero().flatten().tolist()] == list(image.class_ids)
    assert len(shown) == len(tiny_index.class_names) - 1


def test_only_given_labels_are_read(tmp_path):
    assert PARAMS.teacher(tmp_path, tmp_path) is None
    assert METHOD.teacher(tmp_path, tmp_path) == PseudoLabels(tmp_path, tmp_path, 0)


def test_labels_that_move_cannot_say_when_to_stop():
    stop = {"check": {"photographs": 4, "held_out": 0.5, "stop": {"every": 2, "patience": 3}}}
    assert Rrm.model_validate(METHOD.model_dump() | stop).check.stop.patience == 3
    with pytest.raises(ValidationError, match=r"check\.stop must be null with labels: own") as caught:
        Rrm.model_validate(PARAMS.model_dump() | stop)
    assert caught.value.error_count() == 1
    stop["check"]["stop"] = None
    assert Rrm.model_validate(PARAMS.model_dump() | stop).check.stop is None


def test_live_maps_alone_need_a_classifier():
    assert PARAMS.needs_classifier
    assert not METHOD.needs_classifier
