"""The kind ``self-supervised``: it learns from image-level labels and from its own masks, and leaves a DeepLabv2."""

import pytest
import torch
from torch.nn import functional

from tests import chain
from tests.conftest import changed
from tests.reference import own_labels as reference
from tests.reference import pamr as slow
from wsgcn.errors import UsageError
from wsgcn.nets.deeplab import build_deeplab, load_deeplab
from wsgcn.ops.pooling import mask_scores
from wsgcn.segtrain.own_labels import own_label_costs
from wsgcn.segtrain.self_supervised_fit import SelfSupervisedLoss
from wsgcn.segtrain.stage import network_structure
from wsgcn.store.files import read_json
from wsgcn.store.index import save_index
from wsgcn.store.paths import Artifacts

OWN = {
    "kind": "self-supervised",
    "interpolation": "bilinear",
    "jitter": None,
    "gate": {"rate": 0.3, "width": 8},
    "focal": {"power": 3, "shift": 0.01},
    "pretrain": 2,
    "refine": {"stride": 4, "dilations": [1, 2], "iterations": 3},
    "own": {"weight": 1, "foreground": 0.6, "background": 0.7, "floor": 0.2},
}


DEEPLAB_ALONE = ("kind", "input_scales", "min_confidence")


@pytest.fixture
def params(tiny_params):
    """The parameters with a method ``Own`` of this kind."""
    content = tiny_params.model_dump(mode="json")
    shared = {key: value for key, value in content["segtrain"]["deeplab"].items() if key not in DEEPLAB_ALONE}
    methods = content["methods"] | {"Own": content["methods"]["IRNet"] | {"segtrain": "own"}}
    segtrain = content["segtrain"] | {"own": shared | OWN}
    return changed(tiny_params, {"segtrain": segtrain, "methods": methods})


def _loss(params, classes=3):
    torch.manual_seed(0)
    kind = params.segtrain["own"]
    return SelfSupervisedLoss(build_deeplab(network_structure(kind, classes), None), kind)


def _batch():
    photos = torch.randn((2, 3, 33, 40), generator=torch.Generator().manual_seed(0))
    return photos, torch.tensor([[1.0, 0.0], [1.0, 1.0]])


# ---------------------------------------------------------------- the loss


def test_before_some_update_only_the_classes_of_the_photographs_teach(params):
    loss, (photos, shown) = _loss(params).eval(), _batch()
    for branch in loss.network.aspp.branches:
        branch.weight.data *= 100  # so that it is sure of something
    logits = loss.logits(photos)
    classes = functional.multilabel_soft_margin_loss(mask_scores(logits, 3, 0.01), shown)
    costs = own_label_costs(_resized(logits, (33, 40)), loss.labels(photos, logits, shown), shown)
    assert costs.sum() > 0
    for update, expected in ((0, classes), (1, classes), (2, classes + costs.mean()), (3, classes + costs.mean())):
        loss.begin(update)
        torch.testing.assert_close(loss(photos, shown), expected)


def _resized(maps, size, **more):
    return functional.interpolate(maps, size=size, mode="bilinear", **more)


def test_own_labels_are_those_of_the_slow_twins(params):
    loss, (photos, shown) = _loss(params).eval(), _batch()
    photos = photos[..., :8, :12].double()
    logits = 4 * torch.randn((2, 3, 2, 3), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = loss.labels(photos.float(), logits.float(), shown)
    for number in range(2):
        colours = _resized(photos[number : number + 1], (2, 3), antialias=True)[0].numpy()
        masks = slow.pamr(colours, logits[number].softmax(0).numpy(), [1, 2], 3)
        masks[1:] *= shown[number].numpy()[:, None, None]
        large = _resized(torch.from_numpy(masks)[None], (8, 12))[0].numpy()
        assert found[number].tolist() == reference.own_labels(large, 0.6, 0.7, 0.2).tolist()


def test_no_class_that_is_not_shown_is_a_label(params):
    loss, (photos, shown) = _loss(params), _batch()
    logits = torch.zeros(2, 3, 5, 5)
    logits[:, 2] = 5  # the second class, which the first photograph does not show
    labels = loss.labels(photos, logits, shown)
    assert 2 not in labels[0]
    assert (labels[1] == 2).all()


def test_the_background_is_a_constant_that_no_update_moves(params):
    loss, (photos, shown) = _loss(params), _batch()
    optimiser = params.segtrain["own"].optimiser.build(loss.groups())
    for group in optimiser.param_groups:
        group["lr"] = 0.1
    before = loss.network(photos)
    for _ in range(3):
        optimiser.zero_grad()
        loss(photos, shown).backward()
        optimiser.step()
    after = loss.network(photos)
    assert (before[:, 0] == 1).all()
    assert torch.equal(before[:, 0], after[:, 0])
    assert not torch.equal(before[:, 1:], after[:, 1:])


def test_everything_learns_and_the_gate_as_fast_as_the_aspp(params):
    loss, kind = _loss(params), params.segtrain["own"]
    groups = loss.groups()
    listed = [id(one) for group in groups for one in group["params"]]
    assert sorted(listed) == sorted(id(one) for one in loss.parameters())
    assert groups[-1]["lr"] == kind.lr * kind.head_lr_factor == groups[1]["lr"]


def test_a_measurement_is_of_the_network_that_is_kept(params):
    """Without the gate, by the photographs' classes."""
    loss, (photos, shown) = _loss(params), _batch()
    loss.eval()
    torch.testing.assert_close(loss.logits(photos), loss.network(photos))
    with torch.no_grad():
        counts = loss.counts([photos, shown])
        scores = mask_scores(loss.network(photos), 3, 0.01)
    assert counts[:, 0].tolist() == [2, 1]
    assert loss.measured(counts).loss == pytest.approx(float(functional.multilabel_soft_margin_loss(scores, shown)))


def test_half_precision_trains(params):
    loss, (photos, shown) = _loss(params), _batch()
    loss.begin(2)
    with torch.autocast("cpu", torch.bfloat16):
        found = loss(photos.bfloat16(), shown.bfloat16())
    found.backward()
    assert found.isfinite()
    assert all(one.grad is None or one.grad.isfinite().all() for one in loss.parameters())


# ---------------------------------------------------------------- the stage


def test_the_stage_reads_no_pseudo_labels_and_leaves_a_network(params, tiny_index, tmp_path):
    artifacts = Artifacts(tmp_path / "artifacts")
    save_index(artifacts.index, tiny_index)
    longer = changed(params, {"segtrain.own.steps": 5, "segtrain.own.weights": None})
    chain.run_stage("segtrain", "Own", longer, artifacts)
    network = load_deeplab(artifacts.checkpoint("segtrain", "Own"), torch.device("cpu"))
    assert (network(_batch()[0])[:, 0] == 1).all()
    assert 0 <= read_json(artifacts.learned("segtrain", "Own"))["balanced_accuracy"] <= 1
    again = artifacts.checkpoint("segtrain", "Own").read_bytes()
    other = changed(longer, {"runtime.store": str(tmp_path / "other")})
    chain.run_stage("segtrain", "Own", other, artifacts)
    assert artifacts.checkpoint("segtrain", "Own").read_bytes() == again


@pytest.mark.parametrize(
    ("key", "value"), [("gate.rate", 1), ("own.floor", 2), ("refine.dilations", []), ("pretrain", -1)]
)
def test_what_it_cannot_do_is_refused(params, key, value):
    with pytest.raises(UsageError, match=key.replace(".", r"\.")):
        changed(params, {f"segtrain.own.{key}": value})
