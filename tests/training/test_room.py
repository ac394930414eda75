"""A batch for which there is no room is refused before its training begins."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from wsgcn.errors import UsageError
from wsgcn.nets.base import freeze_stages
from wsgcn.nets.build import build_backbone
from wsgcn.training import room
from wsgcn.training.room import kept_bytes, require_room

FABRIC = SimpleNamespace(
    device=torch.device("cpu"), world_size=1, strategy=SimpleNamespace(precision=SimpleNamespace(precision="32-true"))
)


def training(batch: int, crop: int, photographs: int = 4, net: nn.Module | None = None):
    return SimpleNamespace(
        params=SimpleNamespace(batch=batch, crop=crop),
        items=dict.fromkeys(map(str, range(photographs))),
        check=SimpleNamespace(photographs=10**6),
        section="cams.irnet.train",
        loss=nn.Sequential(net or build_backbone("resnet-small", 8, None)),
    )


@pytest.mark.parametrize("name", ["resnet-small", "mobilenet-v2"])
def test_what_is_reckoned_of_a_small_crop_is_what_a_batch_keeps(name):
    net = build_backbone(name, 8, None).train()
    before = {key: one.clone() for key, one in net.state_dict().items()}
    kept: dict[int, int] = {}
    own = {one.data_ptr() for one in net.parameters()}

    def keep(tensor):
        if tensor.data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    reckoned = kept_bytes(net, 2, 96)
    assert all(torch.equal(one, before[key]) for key, one in net.state_dict().items())
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda one: one):
        maps = net(torch.zeros(2, 3, 96, 96))
    assert len(maps) == 5
    assert reckoned == pytest.approx(sum(kept.values()), rel=0.05)


def test_frozen_stages_keep_nothing():
    net = build_backbone("resnet-small", 8, None).train()
    all_learn = kept_bytes(net, 1, 64)
    freeze_stages(net, 3)
    assert 0 < kept_bytes(net, 1, 64) < all_learn
    assert kept_bytes(net.requires_grad_(False), 1, 64) == 0


def test_too_large_a_batch_is_one_line_with_the_keys_to_change():
    with pytest.raises(UsageError) as caught:
        require_room(training(4096, 4096), FABRIC)
    message = str(caught.value)
    assert message.startswith("cams.irnet.train: batch: 4096 with crop: 4096 needs at least ")
    assert message.endswith(" GB free: choose a smaller batch or crop")


def test_photographs_that_measure_take_room_too(monkeypatch):
    monkeypatch.setattr(room, "free_memory", lambda: 3 * 10**9)
    require_room(training(1, 512, photographs=10), FABRIC)
    with pytest.raises(UsageError, match="needs at least 3"):
        require_room(training(1, 512, photographs=1000), FABRIC)


def test_what_surely_fits_costs_no_look_at_the_network():
    require_room(training(2, 32, net=nn.Identity()), SimpleNamespace(device=torch.device("cpu")))
