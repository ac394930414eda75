"""The co-attention beside MCIS's own modules, with the same random weights: logits, losses, and maps at test."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.parity.public import MARKS
from tests.parity.vgg import PublicBackbone
from wsgcn.cams.cam import VIEWS, class_activation_maps
from wsgcn.cams.co_attention_fit import CoAttentionLoss
from wsgcn.cams.co_attention_net import CoAttentionNet, common_maps

pytestmark = MARKS
SHOWN = ((1, 8), (1, 15)), ((8,), (8, 9))
"""Classes of two photographs and their partners."""


@pytest.fixture
def both(theirs, without, tmp_path):
    """Their model and ours with its weights."""
    without("cv2")
    torch.manual_seed(0)
    model = theirs("mcis", "Classifier.models.vgg").coattentionmodel(num_classes=20, att_dir=str(tmp_path))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()  # ours has none after the backbone
        model.extra_linear_e.weight.normal_(std=0.05)
        for one in (model.extra_gate, model.extra_gate_merge):
            one.weight.normal_(std=0.2)
    mine = CoAttentionNet(PublicBackbone(model.vgg.features, model.vgg.extra_convs), 20, 0)
    weights = {
        mine.classifier: model.vgg.extra_last_conv,
        mine.affinity: model.extra_linear_e,
        mine.gate: model.extra_gate_merge,
        mine.common: model.extra_gate,
    }
    for own, other in weights.items():
        own.weight = other.weight
    return model, mine


def _targets():
    found = torch.zeros(2, 2, 20)
    for place, pair in enumerate(SHOWN):
        for number, classes in enumerate(pair):
            found[number, place, [one - 1 for one in classes]] = 1
    return found


def _their_loss(model, x, other, label1, label2):
    """What ``train.py`` adds up from its third epoch on."""
    views = [x.flip(3)]
    for scale in (0.75, 2):
        size = [round(side * scale) for side in x.shape[2:]]
        views.append(functional.interpolate(x, size=size, mode="bilinear", align_corners=False, antialias=True))
    cost, count = functional.multilabel_soft_margin_loss, len(x)
    shared = label1 * label2
    logits, co_logits = model([x, other])
    loss = cost(logits, torch.cat([label1, label2])) + cost(co_logits[: 2 * count], torch.cat([shared, shared]))
    loss = loss + cost(co_logits[2 * count : 3 * count], label1 - shared)
    if (label2 - shared > 0).any():
        loss = loss + cost(co_logits[3 * count :], label2 - shared)
    for view in views:
        logits, co_logits = model([x, view])
        loss = loss + cost(logits, torch.cat([label1, label1])) + cost(co_logits[: 2 * count], torch.cat([label1] * 2))
    return loss


@pytest.mark.parametrize("partners", [(0, 1), (0, 0)])
def test_loss_and_its_gradients(both, partners):
    model, mine = both
    x, other = torch.randn(2, 2, 3, 32, 40)
    label1, label2 = _targets()
    label2 = label2[list(partners)]
    loss = CoAttentionLoss(mine, SimpleNamespace(freeze_norm="none", views=(1, 0.75, 2)))
    theirs, ours = _their_loss(model, x, other, label1, label2), loss(x, label1, other, label2)
    assert float(ours) == pytest.approx(float(theirs), rel=1e-5)
    parameters = [mine.affinity.weight, mine.gate.weight, mine.common.weight, mine.classifier.weight]
    parameters.append(next(iter(model.vgg.features.parameters())))
    for one, two in zip(*(torch.autograd.grad(value, parameters) for value in (theirs, ours)), strict=True):
        torch.testing.assert_close(two, one, rtol=1e-3, atol=1e-5)


def test_maps_at_test(both, theirs, without):
    """Theirs adds five maps as 8 bits at one size; ours keeps the size of each and adds them in full."""
    model, mine = both
    model.eval()
    mine.eval()
    without("matplotlib", "matplotlib.pyplot", "torchvision", "tqdm")
    without("models", "utils", "utils.LoadData", "utils.Restore")
    script = theirs("mcis", "Classifier.scripts.test")
    scales = (1.0, 0.75, 2.0)
    photos = [*np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)]
    infer = SimpleNamespace(interpolation="bilinear", scales=scales, references=2, min_prob=0.1)
    with torch.inference_mode():
        views = [[*VIEWS["bilinear"](one, mine, scales, "cpu")] for one in photos]
        x = views[0][0]

        def maps(second):
            model([x, second])
            return model.get_heatmaps()[2:4]

        mirrored = maps(x.flip(3))
        expected = [mirrored[0], mirrored[1].flip(3), *(maps(one)[1] for one in views[0][1:])]
        references = [torch.stack([maps(one[0])[0] for one in some]).mean(0) for some in (views[1:3], views[3:])]
        raw = [functional.interpolate(one, size=(8, 8), mode="bilinear", align_corners=False) for one in expected]
        peaks = torch.stack([one.amax(dim=(0, 2, 3)) for one in (*expected, *references)]).amin(dim=0)
        classes = sorted((peaks.topk(2).indices + 1).tolist())  # with weights at random many maps are below 0
        merged = common_maps(mine, photos, classes, infer, "cpu")
    for number, (class_id, reference) in enumerate(zip(classes, references, strict=True)):
        each = [one[0, class_id - 1].numpy().copy() for one in (*expected, reference)]
        for own, found in zip(each, merged, strict=True):
            assert own.max() > 0
            likely = own is each[0] or script.sigmoid(own.mean()) > 0.1
            positive = own.clip(0)
            np.testing.assert_allclose(found[0, number], likely * positive / positive.max(), atol=1e-4)
        whole = script.aggregate([one[0, class_id - 1].numpy().copy() for one in (*raw, reference)]).astype(float)
        ours = class_activation_maps([one[:, number : number + 1] for one in merged], (8, 8), (8, 8))[0]
        assert np.abs(ours - whole / whole.max()).max() < 0.03
