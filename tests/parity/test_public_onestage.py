"""SingleStage's parts beside the public project's own modules, with random inputs."""

import pytest
import torch
from torch.nn import functional

from tests.parity.public import MARKS
from wsgcn.ops.pamr import pamr
from wsgcn.ops.pooling import mask_scores, with_background_logit
from wsgcn.segtrain.gate import GlobalCues, gated
from wsgcn.segtrain.own_labels import own_label_costs, own_labels

pytestmark = MARKS
DILATIONS = (1, 2, 4, 8, 12, 24)


def _random(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(30, 41), (9, 12)])
@pytest.mark.parametrize("iterations", [1, 10])
def test_pamr(theirs, size, iterations):
    colours, masks = _random(2, 3, *size), _random(2, 4, *size, seed=1).softmax(1)
    expected = theirs("onestage", "models.mods.pamr").PAMR(iterations, list(DILATIONS))(colours, masks)
    torch.testing.assert_close(pamr(colours, masks, DILATIONS, iterations), expected, rtol=0, atol=1e-5)


@pytest.fixture
def single_stage(theirs, monkeypatch):
    """The public network with random weights and its configuration, without the file of published ones."""
    config = theirs("onestage", "core.config").cfg.NET
    config.BACKBONE, config.MODEL = "resnet50", "ae"
    base = theirs("onestage", "models.backbones.base_net").BaseNet
    monkeypatch.setattr(base, "_init_weights", lambda self, path: None)
    torch.manual_seed(0)
    return theirs("onestage", "models.stage_net").network_factory(config)(config)


def _photographs():
    return torch.randn((2, 3, 65, 81), generator=torch.Generator().manual_seed(1))


def test_weighted_pooling_with_the_focal_penalty(single_stage):
    labels = torch.zeros(2, 20)
    labels[:, 3] = 1
    with torch.no_grad():
        scores, *_, logits, _, _ = single_stage(_photographs(), torch.rand(2, 3, 65, 81), labels)
    assert torch.equal(with_background_logit(logits[:, 1:]), logits)
    torch.testing.assert_close(mask_scores(logits, 3, 0.01), scores, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("power", [1, 12])
def test_own_labels_and_their_costs(theirs, power):
    """With masks of all kinds, where some photographs have labels of all their classes."""
    net = theirs("onestage", "models.stage_net")
    logits = power * torch.randn(4, 5, 20, 24, generator=torch.Generator().manual_seed(0))
    shown = torch.tensor([[1.0, 0, 0, 1], [0, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 1]])
    masks = logits.softmax(1)
    masks[:, 1:] *= shown[:, :, None, None]
    expected = net.pseudo_gtmask(masks)
    labels = own_labels(masks, 0.6, 0.7, 0.2)
    sure = labels != 255
    assert torch.equal(sure, expected.sum(1) == 1)
    assert torch.equal(labels[sure], expected.argmax(1)[sure])
    costs = net.balanced_mask_loss_ce(logits, expected, shown)
    torch.testing.assert_close(own_label_costs(logits, labels, shown), costs, rtol=1e-4, atol=1e-6)
    assert (costs > 0).any()


def test_one_step_of_the_network(single_stage):
    """From its logits and colours to the refined masks and the own labels."""
    raw, shown = torch.rand(2, 3, 65, 81), torch.zeros(2, 20)
    shown[0, 3] = shown[1, 7] = shown[1, 11] = 1
    with torch.no_grad():
        *_, masks, logits, expected, costs = single_stage(_photographs(), raw, shown)
    refined = pamr(_resized(raw, logits), logits.softmax(1), DILATIONS, 10)
    refined = _resized(refined, raw) * functional.pad(shown, (1, 0), value=1)[:, :, None, None]
    torch.testing.assert_close(refined, masks["dec"], rtol=1e-4, atol=1e-5)
    labels = own_labels(masks["dec"], 0.6, 0.7, 0.2)
    assert torch.equal(labels != 255, expected.sum(1) == 1)
    found = own_label_costs(_resized(logits, raw), labels, shown)
    torch.testing.assert_close(found, costs, rtol=1e-4, atol=1e-6)


def _resized(maps, like):
    return functional.interpolate(maps, size=like.shape[-2:], mode="bilinear", align_corners=True)


def test_normalised_colours_refine_as_plain_ones(theirs):
    """The public code refines by colours in [0, 1], ours by normalised ones."""
    plain, masks = _random(1, 3, 30, 41), _random(1, 4, 30, 41, seed=1).softmax(1)
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[:, None, :, None, None]
    expected = theirs("onestage", "models.mods.pamr").PAMR(10, list(DILATIONS))(plain, masks)
    torch.testing.assert_close(pamr((plain - mean) / std, masks, DILATIONS, 10), expected, rtol=0, atol=1e-4)


def test_the_gate(theirs, monkeypatch):
    module = theirs("onestage", "models.mods.sg")
    deep, shallow, dropped = torch.randn(2, 6, 5, 7), torch.randn(2, 6, 5, 7), torch.rand(2, 6, 5, 7) < 0.3
    monkeypatch.setattr(module.F, "dropout", lambda ones, rate: torch.where(dropped, 0, ones / (1 - rate)))
    expected = module.StochasticGate().train()(deep, shallow, alpha_rate=0.3)
    torch.testing.assert_close(gated(deep, shallow, 0.3, dropped), expected)


def test_global_cues(theirs):
    torch.manual_seed(0)
    public = theirs("onestage", "models.mods.gci").GCI()
    names = {"fc_deep": "cues", "fc_skip": "skip", "fc_cls": "out"}
    ours = GlobalCues(256, 256, 256)
    with torch.no_grad():
        scrambled_state = {
            key: torch.rand_like(value) if value.is_floating_point() else value
            for key, value in public.state_dict().items()
        }
        public.load_state_dict(scrambled_state)
        ours.load_state_dict(
            {f"{names[key.split('.')[0]]}.{key.partition('.')[2]}": v for key, v in scrambled_state.items()}
        )
        shallow, deep = torch.randn(2, 256, 9, 11), torch.randn(2, 256, 9, 11)
        for mode in (True, False):
            torch.testing.assert_close(
                ours.train(mode)(shallow, deep), public.train(mode)(shallow, deep), rtol=1e-4, atol=1e-4
            )
