"""SingleStage's parts beside the public project's own modules, with random inputs."""

import pytest
import torch

from tests.parity.public import MARKS
from wsgcn.ops.pamr import pamr

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
