"""SingleStage's parts beside the public project's own modules, with random inputs."""

import pytest
import torch

from tests.parity.public import MARKS
from wsgcn.ops.pamr import pamr
from wsgcn.ops.pooling import mask_scores, with_background

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
    assert torch.equal(with_background(logits[:, 1:]), logits)
    torch.testing.assert_close(mask_scores(logits, 3, 0.01), scores, rtol=1e-4, atol=1e-5)
