"""The dense energy equals its slow twin; the lattice's sums are those of a Gaussian, nearly."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.parity.public import photo
from tests.reference.dense_energy import dense_energy_dense, gate_dense, gaussian_kernel_dense
from wsgcn.ops.dense_energy import dense_energy
from wsgcn.ops.densecrf import bilateral_filter

SIGMAS = {"sigma_xy": 6.0, "sigma_rgb": 40.0}


def _case(height=6, width=7, classes=3, seed=0):
    random = np.random.default_rng(seed)
    probs = random.dirichlet(np.ones(classes), (height, width)).transpose(2, 0, 1).astype(np.float32)
    labels = random.choice(np.array([0, 1, 255], np.uint8), (height, width))
    return torch.from_numpy(probs)[None], torch.from_numpy(labels)[None], photo(height, width)


def _photos(rgb_u8):
    return torch.from_numpy(rgb_u8.transpose(2, 0, 1).copy())[None]


def _lattice(rgb_u8, sigma_xy, sigma_rgb):
    """The lattice's own ``(N, N)`` kernel: what it makes of each pixel by itself."""
    height, width, _ = rgb_u8.shape
    each = np.eye(height * width, dtype=np.float32).reshape(-1, height, width)
    return bilateral_filter(each, rgb_u8, sigma_xy, sigma_rgb).reshape(height * width, -1).T.astype(np.float64)


# ---------------------------------------------------------------- filter


def test_lattice_is_close_to_a_gaussian():
    """It gives less than the exact sums."""
    rgb_u8 = photo(20, 24)
    exact, found = gaussian_kernel_dense(rgb_u8, 6, 40), _lattice(rgb_u8, 6, 40)
    assert np.corrcoef(exact.ravel(), found.ravel())[0, 1] > 0.95
    assert 0.4 < found.sum() / exact.sum() < 1


def test_filter_is_linear_and_knows_place_and_colour():
    rgb_u8 = np.zeros((9, 12, 3), np.uint8)
    rgb_u8[:, 6:] = 200
    maps = np.random.default_rng(0).random((2, 9, 12)).astype(np.float32)
    first, both, doubled = (bilateral_filter(one, rgb_u8, 3, 20) for one in (maps[:1], maps, 2 * maps))
    np.testing.assert_array_equal(first, both[:1])
    np.testing.assert_allclose(doubled, 2 * both, rtol=1e-5)
    one = np.zeros((1, 9, 12), np.float32)
    one[0, 4, 4] = 1
    spread = bilateral_filter(one, rgb_u8, 3, 20)[0]
    assert spread[4, 4] > spread[4, 2] > spread[4, 0] > 0
    assert spread[:, 6:].max() < 1e-4 * spread[4, 4]  # across the edge


@pytest.mark.parametrize("shape", [(12, 9, 3), (9, 12), (9, 12, 4)])
def test_photograph_of_another_size_is_refused(shape):
    with pytest.raises(ValueError, match="does not fit"):
        bilateral_filter(np.zeros((2, 9, 12), np.float32), np.zeros(shape, np.uint8), 3, 20)


# ---------------------------------------------------------------- energy


@pytest.mark.parametrize("seed", [0, 1])
def test_energy_is_that_of_different_classes_less_that_of_all(seed):
    probs, labels, rgb_u8 = _case(seed=seed)
    inside = torch.ones_like(labels, dtype=torch.bool)
    inside[:, :2] = False
    flat = probs[0].flatten(1).double().numpy()
    gates = gate_dense(flat, labels.flatten().numpy())
    energy, of_all = dense_energy_dense(flat, _lattice(rgb_u8, **SIGMAS), gates, inside.flatten().numpy())
    found = dense_energy(probs, _photos(rgb_u8), labels, inside, scale=1, **SIGMAS)
    assert found.item() == pytest.approx(energy - of_all, rel=1e-5)
    assert found.item() < 0


def test_gradient_where_nothing_is_labelled_is_that_of_the_value():
    probs, labels, rgb_u8 = _case()
    labels.fill_(255)
    inside = torch.ones_like(labels, dtype=torch.bool)

    def energy(some):
        return dense_energy(some, _photos(rgb_u8), labels, inside, scale=1, **SIGMAS)

    probs.requires_grad_()
    energy(probs).backward()
    with torch.no_grad():  # differences are exact, as the energy is quadratic
        slope = (energy(1.1 * probs) - energy(0.9 * probs)).item() / 0.2
        assert (probs.grad * probs).sum().item() == pytest.approx(slope, rel=1e-4)
        step = torch.zeros_like(probs)
        step[:, 1] = 0.1
        slope = (energy(probs + step) - energy(probs - step)).item() / 0.2
        # The lattice is not quite symmetric.
        assert probs.grad[:, 1].sum().item() == pytest.approx(slope, rel=0.02)


def test_gates_weaken_what_is_labelled_and_certain_and_are_not_learned():
    probs, labels, rgb_u8 = _case()
    inside = torch.ones_like(labels, dtype=torch.bool)
    inside[:, :, 5:] = False
    probs.requires_grad_()
    dense_energy(probs, _photos(rgb_u8), labels, inside, scale=1, **SIGMAS).backward()
    flat = probs.detach()[0].flatten(1).double().numpy() * inside.flatten().numpy()
    gates = gate_dense(probs.detach()[0].flatten(1).double().numpy(), labels.flatten().numpy())
    expected = -2 * gates * inside.flatten().numpy() * (flat @ _lattice(rgb_u8, **SIGMAS).T)
    np.testing.assert_allclose(probs.grad[0].flatten(1).numpy(), expected, rtol=1e-4, atol=1e-6)


def test_half_the_resolution_is_that_of_smaller_maps():
    probs, labels, rgb_u8 = _case(12, 14)
    inside = torch.rand(1, 12, 14, generator=torch.Generator().manual_seed(0)) < 0.8
    small = functional.avg_pool2d(probs, 2)
    whole = dense_energy(probs, _photos(rgb_u8), labels, inside, scale=0.5, **SIGMAS)
    corners = [one[..., ::2, ::2] for one in (_photos(rgb_u8), labels, inside)]
    halved = dense_energy(small, *corners, scale=1, sigma_xy=3.0, sigma_rgb=40.0)
    assert whole.item() == pytest.approx(halved.item(), rel=1e-5)


def test_photographs_of_a_batch_are_apart_and_agreement_is_cheaper():
    cases = [_case(seed=seed) for seed in (0, 1)]
    probs, labels = (torch.cat([case[part] for case in cases]) for part in (0, 1))
    photos, inside = _photos(cases[0][2]).repeat(2, 1, 1, 1), torch.ones_like(labels, dtype=torch.bool)
    alone = [
        dense_energy(probs[i : i + 1], photos[:1], labels[i : i + 1], inside[:1], scale=1, **SIGMAS) for i in (0, 1)
    ]
    together = dense_energy(probs, photos, labels, inside, scale=1, **SIGMAS)
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-5, atol=0)
    labels.fill_(255)
    agreed = torch.zeros_like(probs)
    agreed[:, 1] = 1
    costs = [dense_energy(one, photos, labels, inside, scale=1, **SIGMAS) for one in (agreed, probs)]
    assert (costs[0] < costs[1]).all()
