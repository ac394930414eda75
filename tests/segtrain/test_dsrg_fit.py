"""DSRG's losses equal their formulas cell by cell; its seeds grow in the classes of the photograph alone."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.reference import dsrg as reference
from wsgcn.ops.densecrf import dense_crf
from wsgcn.ops.resize import downscale_rgb
from wsgcn.segtrain.dsrg_fit import boundary_loss, floored_softmax, grown_seeds, refined_probs, seeding_loss

CLASSES, GRID = 4, (5, 6)
CRF = SimpleNamespace(
    iterations=5, gaussian_sxy=2, gaussian_compat=3, bilateral_sxy=53.3, bilateral_srgb=13, bilateral_compat=10
)
GROWTH = SimpleNamespace(foreground=0.85, background=0.99)


def _probs(batch=2, seed=0, spread=0.3):
    found = np.random.default_rng(seed).dirichlet(np.full(CLASSES, spread), (batch, *GRID))
    return torch.from_numpy(found.transpose(0, 3, 1, 2).clip(1e-4)).contiguous()


def _labels(choices, batch=2, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).choice(choices, (batch, *GRID)))


@pytest.mark.parametrize("choices", [[0, 1, 3, 255], [255], [0], [2, 3], [0, 255], [1, 255]])
def test_seeding_loss_weighs_background_and_foreground_alike(choices):
    probs, labels = _probs(), _labels(choices)
    expected = reference.seeding_loss(probs.numpy(), labels.numpy())
    assert seeding_loss(probs, labels).item() == pytest.approx(expected, rel=1e-12)
    assert (expected == 0) == (choices == [255])


def test_boundary_loss_is_the_divergence_within_its_range():
    probs, refined = _probs(seed=1), _probs(seed=2)
    expected = reference.boundary_loss(probs.numpy(), refined.numpy())
    assert boundary_loss(probs, refined).item() == pytest.approx(expected, rel=1e-12)
    quotients = refined / probs
    assert (quotients > 20).any()
    assert (quotients < 1 / 20).any()
    assert boundary_loss(probs, probs).item() == pytest.approx(0, abs=1e-15)


def test_boundary_loss_draws_the_probabilities_to_the_refined_ones():
    logits, refined = torch.randn((2, CLASSES, *GRID), generator=torch.Generator().manual_seed(0)), _probs(spread=2)
    logits.requires_grad_()
    before = (floored_softmax(logits) - refined).abs().mean().item()
    for _ in range(60):
        (gradient,) = torch.autograd.grad(
            boundary_loss(floored_softmax(logits), refined) * logits[0, 0].numel(), logits
        )
        logits.data -= gradient
    assert (floored_softmax(logits) - refined).abs().mean().item() < 0.5 * before


def test_probabilities_sum_to_one_and_are_never_zero():
    logits = torch.tensor([0.0, 50.0, -50.0, 3.0]).reshape(1, CLASSES, 1, 1)
    probs = floored_softmax(logits).flatten()
    assert probs.sum().item() == pytest.approx(1)
    assert probs[2].item() == pytest.approx(1e-4 / (1 + CLASSES * 1e-4))
    assert floored_softmax(logits.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("softmax", [True, False])
def test_each_photograph_has_a_crf_of_its_own(softmax):
    probs = _probs().float()
    photos = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 40, 48), dtype=np.uint8))
    refined = refined_probs(probs.requires_grad_(), photos, CRF, softmax, stride=8)
    assert not refined.requires_grad
    for one, photo, found in zip(probs.detach(), photos, refined):
        start = (one.softmax(0) if softmax else one).numpy()
        expected = dense_crf(start, downscale_rgb(photo.permute(1, 2, 0).numpy(), GRID), CRF, 8).clip(1e-4)
        np.testing.assert_allclose(found, expected / expected.sum(0), rtol=0, atol=1e-6)
    assert (refined - probs).abs().max() > 0.1


@pytest.mark.parametrize("shown", [[0, 1, 2, 3], [0, 2], [0, 3], [0]])
def test_only_shown_classes_grow_and_as_a_flood_does(shown):
    refined, there = _probs(batch=3, spread=0.1), torch.zeros(3, CLASSES, dtype=torch.bool)
    there[:, shown] = True
    seeds = _labels([*shown, 255, 255, 255], batch=3)
    found = grown_seeds(seeds, refined, there, GROWTH)
    assert found.dtype == torch.int64
    for one, probs, labels in zip(found.numpy(), refined.numpy(), seeds.numpy().astype(np.uint8)):
        positions = np.where(labels == 255, 255, np.searchsorted(shown, labels)).astype(np.uint8)
        expected = reference.grown_by_flooding(positions, probs[shown], 0.85, 0.99)
        ids = np.array([*shown, *[255] * (256 - len(shown))])
        np.testing.assert_array_equal(one, ids[expected])
    assert ((found != 255).sum() > (seeds != 255).sum()) or shown == [0]
