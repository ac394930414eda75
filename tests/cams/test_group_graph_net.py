"""The network of groups and its loss equal their slow twins."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.cams.company import with_source
from tests.reference.co_attention import class_loss_slow
from tests.reference.group_graph import dropped_slow, fused_slow, message_slow, remembered_slow
from wsgcn.cams.cam import VIEWS
from wsgcn.cams.group_graph_fit import GroupGraphLoss
from wsgcn.cams.group_graph_net import GraphDropout, group_maps

TRAIN = {"group": 3, "rounds": 2, "drop_rate": 0.8, "drop_threshold": 0.7, "own_weight": 0.4}
INFER = {"scales": [1.0, 0.5]}


@pytest.fixture
def source(tiny_params):
    return with_source(tiny_params, TRAIN, INFER, "group-graph").cams["own"]


@pytest.fixture
def net(source):
    torch.manual_seed(0)
    made = source.network(5, pretrained=False).eval().double()
    for name, parameter in made.named_parameters():
        if not name.startswith("backbone."):
            torch.nn.init.normal_(parameter, std=0.4)
    return made


def _layer(convolution):
    weight = convolution.weight.detach().numpy()
    flat = weight[:, :, 0, 0] if weight.shape[2] == 1 else weight
    return (flat, None if convolution.bias is None else convolution.bias.detach().numpy())


def _told_slow(net, maps):
    """Without dropout."""
    gates = [_layer(getattr(net.memory, name)) for name in ("update", "reset", "out")]
    for _ in range(net.rounds):
        messages = []
        for number, one in enumerate(maps):
            heard = [
                message_slow(one, other, _layer(net.asked), _layer(net.answering), _layer(net.gate)[0][0])
                for place, other in enumerate(maps)
                if place != number
            ]
            messages.append(fused_slow(np.concatenate(heard), *_layer(net.fusion)))
        maps = [remembered_slow(message, one, *gates) for message, one in zip(messages, maps)]
    return maps


def test_graph_of_maps_of_any_size(net):
    maps = [torch.randn(2, 4, *size, dtype=torch.double) for size in ((3, 4), (2, 3), (4, 2))]
    found = net.told(maps)
    for number in range(2):
        slow = _told_slow(net, [one[number].numpy() for one in maps])
        for mine, theirs in zip(found, slow, strict=True):
            np.testing.assert_allclose(mine[number].detach(), theirs, atol=1e-10)


@pytest.mark.parametrize("drops", [True, False])
def test_dropout_halves_the_strongest_cells_or_weakens_all(drops):
    layer, state = GraphDropout(float(drops), 0.7), torch.randn(3, 4, 5, 6, dtype=torch.double)
    for mine, one in zip(layer.train()(state), state.numpy()):
        np.testing.assert_allclose(mine, dropped_slow(one, drops, 0.7), atol=1e-12)
    assert torch.equal(layer.eval()(state), state)


def test_dropout_is_drawn_for_each_photograph():
    layer, state = GraphDropout(0.8, 0.7).train(), torch.rand(2000, 1, 1, 2) + 0.1
    torch.manual_seed(0)
    strong = (layer(state) / state).amin(dim=(1, 2, 3))
    assert float((strong == 0.5).float().mean()) == pytest.approx(0.8, abs=0.03)


def test_loss_equals_the_mean_of_its_parts(source, net):
    loss = GroupGraphLoss(net, source.train)
    net.eval()
    photographs, targets = torch.randn(3, 2, 3, 32, 40, dtype=torch.double), (torch.rand(3, 2, 4) < 0.5).float()
    batch = [part for pair in zip(photographs, targets) for part in pair]
    maps = [net.class_maps(one).detach().numpy() for one in photographs]
    told = [_told_slow(net, [one[number] for one in maps]) for number in range(2)]
    parts = []
    for place in range(3):
        parts.append(0.4 * class_loss_slow(maps[place].mean(axis=(2, 3)), targets[place].numpy()))
        logits = np.stack([one[place].mean(axis=(1, 2)) for one in told])
        parts.append(class_loss_slow(logits, targets[place].numpy()))
    assert float(loss(*batch).detach()) == pytest.approx(sum(parts) / 6, rel=1e-5)
    counts = loss.counts(batch)
    costs = functional.binary_cross_entropy_with_logits(net(photographs[0]), targets[0].double(), reduction="none")
    torch.testing.assert_close(counts[:, 4], costs.sum(0), rtol=1e-5, atol=1e-6)


def test_every_weight_learns_and_the_new_ones_faster(source):
    torch.manual_seed(0)
    net = source.network(5, pretrained=False)
    loss = GroupGraphLoss(net, source.train)
    groups = loss.groups()
    assert sum(len(group["params"]) for group in groups) == len(list(net.parameters()))
    assert [group["lr"] for group in groups] == [source.train.lr, source.train.lr * source.train.head_lr_factor]
    loss(*(part for _ in range(3) for part in (torch.randn(2, 3, 32, 32), torch.ones(2, 4)))).backward()
    assert all(one.grad is not None and one.grad.abs().sum() > 0 for one in groups[1]["params"])


def test_maps_equal_their_slow_twin(source, net):
    net = net.float()
    sizes = ((40, 48), (32, 40), (48, 32))
    photos = [np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    with torch.inference_mode():
        merged = group_maps(net, photos, (1, 4), source.infer, "cpu")
        views = [[*VIEWS[source.infer.interpolation](one, net, source.infer.scales, "cpu")] for one in photos]
        assert len(merged) == 2
        for place, found in enumerate(merged):
            own, *beside = (net.class_maps(some[place])[0].numpy() for some in views)
            mirrored = net.class_maps(views[0][place].flip(3))[0].numpy()
            both = [np.maximum((one + _told_slow(net, [one, *beside])[0]) / 2, 0) for one in (own, mirrored)]
            expected = (both[0] + both[1][..., ::-1])[[0, 3]]
            assert expected.max() > 0
            np.testing.assert_allclose(found[0], expected, atol=1e-5)
