"""The graph of a group beside GroupWSSS's own modules, with the same random weights: logits, loss, gradients, maps."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.parity.public import MARKS
from tests.parity.vgg import PublicBackbone
from wsgcn.cams.cam import VIEWS
from wsgcn.cams.group_graph_fit import GroupGraphLoss
from wsgcn.cams.group_graph_net import GroupGraphNet, group_maps

pytestmark = MARKS
NUMBERS = SimpleNamespace(
    group=3, rounds=3, drop_rate=0.8, drop_threshold=0.7, own_weight=0.4, freeze_norm="none", head_lr_factor=10, lr=1
)


@pytest.fixture
def both(theirs, without, tmp_path):
    """Their model and ours with its weights."""
    without("cv2", "units")
    module = theirs("group", "models.vgg_gnn")
    torch.manual_seed(0)
    model = module.GNNNet_VGG(pretrained=False, num_classes=20, drop_rate=0.8, drop_th=0.7, att_dir=str(tmp_path))
    classifier = model.extra_convs[6]
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "features" in name or "extra_convs" in name:
                nn.init.zeros_(parameter) if parameter.dim() == 1 else nn.init.kaiming_normal_(parameter)
            elif "fusion" not in name:
                parameter.normal_(std=0.3)
    mine = GroupGraphNet(PublicBackbone(model.features, model.extra_convs[:6]), 20, 0, NUMBERS)
    shared = {
        mine.classifier: classifier,  # whose bias is 0: ours has none
        mine.asked: model.extra_proja,
        mine.answering: model.extra_projb,
        mine.gate: model.extra_gate,
        mine.fusion: model.extra_conv_fusion,
        mine.memory.reset: model.extra_ConvGRU.reset_gate,
        mine.memory.update: model.extra_ConvGRU.update_gate,
        mine.memory.out: model.extra_ConvGRU.out_gate,
    }
    for own, other in shared.items():
        own.weight, own.bias = other.weight, None if own.bias is None else other.bias
    return model, mine


@pytest.mark.parametrize("seed", range(3))
def test_loss_and_its_gradients_with_what_is_dropped(both, seed):
    model, mine = both
    photographs, targets = torch.randn(3, 1, 3, 32, 40), (torch.rand(3, 1, 20) < 0.2).float()
    loss = GroupGraphLoss(mine, NUMBERS)
    torch.manual_seed(seed)
    x11, x1, x22, x2, x33, x3 = model.train()(*photographs)
    cost = functional.multilabel_soft_margin_loss
    before = sum(cost(one, shown) for one, shown in zip((x11, x22, x33), targets))
    after = sum(cost(one, shown) for one, shown in zip((x1, x2, x3), targets))
    theirs = (0.4 * before + after) / 6
    torch.manual_seed(seed)
    ours = loss(*(part for pair in zip(photographs, targets) for part in pair))
    assert float(ours) == pytest.approx(float(theirs), rel=1e-5)
    parameters = [parameter for group in loss.groups() for parameter in group["params"]]
    assert len(parameters) > 30
    for one, two in zip(*(torch.autograd.grad(value, parameters) for value in (theirs, ours)), strict=True):
        torch.testing.assert_close(two, one, rtol=1e-3, atol=1e-5)


def test_maps_without_dropout(both):
    model, mine = both
    model.extra_GDL = nn.Identity()
    mine.eval()
    photos = [*np.random.default_rng(0).integers(0, 256, (3, 48, 64, 3), dtype=np.uint8)]
    infer = SimpleNamespace(interpolation="bilinear", scales=(1.0,))
    with torch.inference_mode():
        (found,) = group_maps(mine, photos, (1, 5, 20), infer, "cpu")
        view, *others = (next(iter(VIEWS["bilinear"](one, mine, (1.0,), "cpu"))) for one in photos)
        expected = 0
        for mirrored in (False, True):
            model(view.flip(3) if mirrored else view, *others)
            maps = ((model.map1 + model.map) / 2).clamp(min=0)[:, [0, 4, 19]]
            expected = expected + (maps.flip(3) if mirrored else maps)
    assert expected.amax() > 0
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
