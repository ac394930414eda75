"""Weighted pooling equals its slow twin, and does what it is for."""

import math

import pytest
import torch

from tests.reference import pooling as reference
from wsgcn.ops.pooling import mask_scores, with_background_logit


@pytest.mark.parametrize(("power", "shift"), [(3, 0.01), (1, 0.1), (0, 1)])
@pytest.mark.parametrize("grid", [(1, 1), (3, 5)])
def test_it_equals_its_twin(power, shift, grid):
    logits = 3 * torch.randn((2, 4, *grid), generator=torch.Generator().manual_seed(0))
    expected = [reference.mask_scores(one.numpy(), power, shift) for one in logits]
    torch.testing.assert_close(mask_scores(logits, power, shift), torch.tensor(expected), rtol=1e-5, atol=1e-5)


def test_the_background_is_a_constant():
    logits = torch.randn(2, 3, 4, 5)
    found = with_background_logit(logits)
    assert found.shape == (2, 4, 4, 5)
    assert (found[:, 0] == 1).all()
    assert torch.equal(found[:, 1:], logits)


def _square(side):
    """A class that is sure of a square, and nowhere else."""
    logits = torch.full((1, 1, 20, 20), -20.0)
    logits[..., :side, :side] = 20
    return mask_scores(with_background_logit(logits), 3, 0.01)


def test_what_covers_little_is_not_pooled_away_but_penalised():
    empty, small, large = (float(_square(side)) for side in (0, 4, 12))
    assert empty == pytest.approx(math.log(0.01), abs=1e-3)
    assert empty < 0 < small < large
    nowhere = with_background_logit(torch.full((1, 1, 20, 20), -20.0))
    assert float(mask_scores(nowhere, 3, 1.0)) == pytest.approx(0, abs=1e-3)


def test_half_precision_is_pooled_in_full():
    logits = torch.randn(1, 3, 6, 6)
    found = mask_scores(logits.bfloat16(), 3, 0.01)
    assert found.dtype == torch.float32
    assert torch.equal(found, mask_scores(logits.bfloat16().float(), 3, 0.01))
