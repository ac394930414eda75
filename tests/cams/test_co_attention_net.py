"""The co-attention network and its losses equal their slow twins."""

import numpy as np
import pytest
import torch

from tests.cams.company import with_source
from tests.reference.co_attention import attended_slow, class_loss_slow, common_scores_slow
from wsgcn.cams.cam import VIEWS, class_activation_maps
from wsgcn.cams.co_attention_fit import CoAttentionLoss
from wsgcn.cams.co_attention_net import CoAttentionNet, common_maps
from wsgcn.training.tags import multi_hot

INFER = {"maps": "common", "references": 2, "min_prob": 0.54, "scales": [1.0, 0.75, 2.0], "high_res": False}


@pytest.fixture
def source(tiny_params):
    return with_source(tiny_params, {"views": [1.0, 0.75], "dropout": 0}, INFER, "co-attention").cams["own"]


@pytest.fixture
def net(source):
    torch.manual_seed(0)
    made = source.network(4, pretrained=False).eval().double()
    for one in (made.affinity, made.gate, made.common, made.classifier):
        torch.nn.init.normal_(one.weight, std=0.3)
    return made


def _photos(seed, *sizes):
    random = np.random.default_rng(seed)
    return [random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


def _flat(features):
    return features[0].flatten(1).detach().numpy()


def test_attention_is_a_mean_by_likeness(net):
    one, other = (
        torch.randn(2, net.backbone.channels[-1], 3, 4, dtype=torch.double),
        torch.randn(2, net.backbone.channels[-1], 2, 5, dtype=torch.double),
    )
    found = net.attended(one, other)
    for number in range(2):
        slow = attended_slow(_flat(one[number:]), _flat(other[number:]), net.affinity.weight.detach().numpy())
        for mine, theirs, whole in zip(found, slow, (one, other)):
            assert mine.shape == whole.shape
            np.testing.assert_allclose(_flat(mine[number:]), theirs, atol=1e-10)


def test_the_gate_takes_away_what_is_common(net):
    features, attended = torch.randn(2, 1, net.backbone.channels[-1], 2, 3, dtype=torch.double)
    gate = 1 / (1 + np.exp(-np.einsum("d,dhw->hw", net.gate.weight.detach().numpy().ravel(), attended[0].numpy())))
    np.testing.assert_allclose(net.rest(features, attended)[0].detach(), features[0].numpy() * (1 - gate), atol=1e-12)


def _logits(weight, features):
    return weight.detach().numpy()[:, :, 0, 0] @ features.mean(axis=1)


def _slow_loss(net, views, x, target, other, other_target):
    """Photograph by photograph; the means are over the batch, so each loss first collects its rows."""
    rows = {}

    def add(name, logits, shown):
        rows.setdefault(name, []).append((logits, np.asarray(shown)))

    def compare(name, one, second, shown):
        weight = net.affinity.weight.detach().numpy()
        found = attended_slow(one, second, weight)
        for attended in found:
            add(f"{name} common", _logits(net.common.weight, attended), shown)
        return found

    for photo, shown, partner, shows in zip(x, target.numpy(), other, other_target.numpy()):
        one, second = (_flat(net.features(part[None])) for part in (photo, partner))
        both = shown * shows
        found = compare("pair", one, second, both)
        gate = net.gate.weight.detach().numpy().ravel()
        for name, features, attended, own in zip("ab", (one, second), found, (shown, shows)):
            add("pair own", _logits(net.classifier.weight, features), own)
            rest = features * (1 - 1 / (1 + np.exp(-gate @ attended)))
            add(f"alone {name}", _logits(net.common.weight, rest), own - both)
        for number, view in enumerate(views):
            again = _flat(net.features(view(photo[None])))
            compare(f"view {number}", one, again, shown)
            for features in (one, again):
                add(f"view {number} own", _logits(net.classifier.weight, features), shown)
    means = {name: class_loss_slow(*map(np.stack, zip(*some))) for name, some in rows.items()}
    for name in ("alone a", "alone b"):
        if not any(shown.any() for _, shown in rows[name]):
            means[name] = 0
    return sum(means.values())


@pytest.mark.parametrize(
    ("shown", "shows"),
    [([(1,), (1, 2)], [(1, 3), (2,)]), ([(1, 2), (3,)], [(1,), (3,)]), ([(1,), (2,)], [(1,), (2,)])],
)
def test_loss_equals_the_sum_of_its_parts(source, net, shown, shows):
    torch.manual_seed(1)
    x, other = torch.randn(2, 2, 3, 32, 40, dtype=torch.double)
    target, other_target = (torch.stack([multi_hot(one, 3) for one in some]) for some in (shown, shows))

    def small(photo):
        size = (24, 30)
        return torch.nn.functional.interpolate(photo, size=size, mode="bilinear", align_corners=False, antialias=True)

    loss = CoAttentionLoss(net, source.train)
    net.eval()
    found = loss(x, target, other, other_target)
    slow = _slow_loss(net, [lambda photo: photo.flip(3), small], x, target, other, other_target)
    assert float(found.detach()) == pytest.approx(slow, rel=1e-5)
    plain = CoAttentionLoss(net, source.train.model_copy(update={"views": ()}))
    net.eval()
    assert float(plain(x, target, other, other_target).detach()) == pytest.approx(
        _slow_loss(net, [], x, target, other, other_target), rel=1e-5
    )


def test_every_weight_learns_and_the_new_ones_faster(source):
    torch.manual_seed(0)
    net = source.network(4, pretrained=False)
    loss = CoAttentionLoss(net, source.train)
    groups = loss.groups()
    assert sum(len(group["params"]) for group in groups) == len(list(net.parameters()))
    assert [group["lr"] for group in groups] == [source.train.lr, source.train.lr * source.train.head_lr_factor]
    target = torch.tensor([[1.0, 1, 0]])
    loss(*torch.randn(1, 1, 3, 32, 32), target, torch.randn(1, 3, 32, 32), torch.tensor([[1.0, 0, 0]])).backward()
    assert all(one.grad is not None and one.grad.abs().sum() > 0 for one in (net.gate.weight, net.affinity.weight))


def test_a_measurement_is_the_photographs_alone(source, net):
    loss = CoAttentionLoss(net.float(), source.train)
    net.eval()
    batch = [torch.randn(2, 3, 32, 32), torch.tensor([[1.0, 0, 0], [0, 1, 0]])]
    counts = loss.counts([*batch, torch.randn(2, 3, 32, 32), torch.ones(2, 3)])
    assert counts.shape == (3, 5)
    costs = torch.nn.functional.binary_cross_entropy_with_logits(net(batch[0]), batch[1], reduction="none").sum(0)
    torch.testing.assert_close(counts[:, 4], costs.double(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("references", [2, 0])
def test_maps_equal_their_slow_twin(source, net, references):
    infer, class_ids = source.infer.model_copy(update={"references": references}), (1, 3)
    net = net.float()
    photos = _photos(0, (40, 48), *[(32, 40), (40, 32), (48, 40), (36, 36)][: 2 * references])
    with torch.inference_mode():
        merged = common_maps(net, photos, class_ids, infer, "cpu")
        found = class_activation_maps(merged, (10, 12), (10, 12))
        views = [[*VIEWS[infer.interpolation](one, net, infer.scales, "cpu")] for one in photos]
        own = [net.features(one) for one in (*views[0], views[0][0].flip(3))]
    weight, whole = net.affinity.weight.detach().numpy(), _flat(own[0])

    def maps(flat, like):
        scores = net.common.weight.detach().numpy()[:, :, 0, 0] @ flat
        return scores.reshape(3, *like.shape[2:])[[0, 2]]

    one, mirrored = attended_slow(whole, _flat(own[3]), weight)
    expected = [maps(one, own[0]), maps(mirrored, own[3])[..., ::-1]]
    expected += [maps(attended_slow(whole, _flat(other), weight)[1], other) for other in own[1:3]]
    if references:
        with torch.inference_mode():
            seen = [attended_slow(whole, _flat(net.features(some[0])), weight)[0] for some in views[1:]]
        rows = [maps(flat, own[0]) for flat in seen]
        expected.append(np.stack([(rows[0][0] + rows[1][0]) / 2, (rows[2][1] + rows[3][1]) / 2]))
    assert len(merged) == len(expected)
    probs = [1 / (1 + np.exp(-one.mean(axis=(1, 2)))) for one in expected[1:]]
    for number, (mine, raw) in enumerate(zip(merged, expected)):
        slow = common_scores_slow([np.zeros_like(raw), raw] if number else [raw], infer.min_prob)
        np.testing.assert_allclose(mine[0], slow, atol=2e-5)
    assert {bool(one > infer.min_prob) for pair in probs for one in pair} == {True, False}  # some are left out
    assert found.shape == (2, 10, 12)


def test_a_checkpoint_of_it_starts_other_networks(net):
    """Its backbone and classifier have a classifier's names."""
    assert isinstance(net, CoAttentionNet)
    assert {"classifier.weight", "affinity.weight", "gate.weight", "common.weight"} < set(net.state_dict())
