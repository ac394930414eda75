"""The labels that teach both affinity networks."""

import numpy as np
import pytest

from tests.conftest import changed
from wsgcn.affinity import seeds as module
from wsgcn.affinity.seeds import affinity_seed_scores, affinity_seeds, boundary_seeds, cell_labels


def _cams(seed=0, grid=(5, 6)):
    return np.random.default_rng(seed).random((2, *grid), dtype=np.float32) ** 2


def _params(tiny_params, entry, iterations):
    values = {f"affinity.{entry}.train.seeds.crf.iterations": iterations}
    return changed(tiny_params, values).affinity[entry].train.seeds


@pytest.mark.parametrize("seed", range(3))
def test_irnets_thresholds_without_crf(tiny_params, seed):
    cams, params = _cams(seed) * 0.6, _params(tiny_params, "boundary", 0)
    labels = boundary_seeds(cams, np.zeros((5, 6, 3), np.uint8), params)
    for cell in np.ndindex(5, 6):
        best = cams[:, *cell].max()
        expected = 255
        if best > params.foreground:
            expected = 1 + cams[:, *cell].argmax()
        elif best <= params.background:
            expected = 0
        assert labels[cell] == expected


@pytest.mark.parametrize("seed", range(3))
def test_psas_exponents_without_crf(tiny_params, seed):
    cams, params = _cams(seed), _params(tiny_params, "affinitynet", 0)
    labels = affinity_seeds(cams, np.zeros((5, 6, 3), np.uint8), params)
    for cell in np.ndindex(5, 6):
        best = max(0, cams[:, *cell].max() - params.cam_cut) / (1 - params.cam_cut)
        expected = 255
        if best > (1 - best) ** params.alphas[0]:
            expected = 1 + cams[:, *cell].argmax()
        elif best < (1 - best) ** params.alphas[1]:
            expected = 0
        assert labels[cell] == expected


def test_psas_background_overrules_as_in_its_code(tiny_params, monkeypatch):
    """``shared/paper/notes.md``: foreground from α = 4, background from α = 32, else ignored."""
    low = np.array([[[0.1, 0.9, 0.1, 0.9]], [[0.9, 0.1, 0.9, 0.1]]], np.float32)
    high = np.array([[[0.1, 0.1, 0.9, 0.9]], [[0.9, 0.9, 0.1, 0.1]]], np.float32)
    results = iter([low, high])
    monkeypatch.setattr(module, "dense_crf", lambda *_: next(results))
    labels = affinity_seeds(
        np.zeros((1, 1, 4), np.float32), np.zeros((1, 4, 3), np.uint8), _params(tiny_params, "affinitynet", 1)
    )
    assert labels.tolist() == [[1, 255, 0, 0]]


@pytest.mark.parametrize(("make", "entry"), [(boundary_seeds, "boundary"), (affinity_seeds, "affinitynet")])
def test_clear_picture(tiny_params, make, entry):
    cams = np.zeros((1, 20, 30), dtype=np.float32)
    cams[0, 5:15, 10:20] = 1
    rgb = np.where(cams[0, :, :, None] > 0, 220, 40).astype(np.uint8).repeat(3, axis=2)
    labels = make(cams, rgb, tiny_params.affinity[entry].train.seeds)
    assert labels.dtype == np.uint8
    assert (labels[7:13, 12:18] == 1).all()
    assert (labels[:, :5] == 0).all()
    assert (labels[cams[0] == 0] != 1).all()


@pytest.mark.parametrize(("make", "entry"), [(boundary_seeds, "boundary"), (affinity_seeds, "affinitynet")])
def test_nothing_activated_is_background(tiny_params, make, entry):
    rgb = np.random.default_rng(0).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    labels = make(np.zeros((2, 6, 7), np.float32), rgb, tiny_params.affinity[entry].train.seeds)
    assert (labels == 0).all()


def test_psas_scores_enter_the_crf_as_they_are(tiny_params):
    cams, params = _cams(), _params(tiny_params, "affinitynet", 0)
    maps = affinity_seed_scores(cams, np.zeros((5, 6, 3), np.uint8), params)
    cut = (cams - params.cam_cut).clip(0) / (1 - params.cam_cut)
    for found, alpha in zip(maps, params.alphas, strict=True):
        np.testing.assert_allclose(found[0], (1 - cut.max(axis=0)) ** alpha, atol=1e-6)
        np.testing.assert_allclose(found[1:], cut, atol=1e-6)


def _cell_label(low, high):
    """What ``VOC12AffDataset`` makes of the mean scores of one cell."""
    if max(*low, *high) < 1e-5:
        return 255
    if high.argmax() == 0:
        return 0
    return 255 if low.argmax() == 0 else low.argmax()


@pytest.mark.parametrize("size", [(16, 24), (13, 9)])
@pytest.mark.parametrize("seed", range(3))
def test_a_cell_has_the_class_of_the_highest_mean(size, seed):
    random = np.random.default_rng(seed)
    cells = random.dirichlet([0.6, 0.4, 0.4], (2, 4, 6)).repeat(4, axis=1).repeat(4, axis=2)[:, : size[0], : size[1]]
    maps = 0.5 * cells + 0.5 * random.dirichlet([0.6, 0.4, 0.4], (2, *size))
    low, high = maps.transpose(0, 3, 1, 2).astype(np.float32)
    low[:, :4, :4] = high[:, :4, :4] = 0  # beyond the photograph
    labels = cell_labels(low, high, 4)
    assert labels.dtype == np.uint8
    assert labels[0, 0] == 255
    for row, column in np.ndindex(labels.shape):
        part = (slice(None), slice(4 * row, 4 * row + 4), slice(4 * column, 4 * column + 4))
        assert labels[row, column] == _cell_label(*(one[part].sum(axis=(1, 2)) / 16 for one in (low, high)))
    assert len(set(np.unique(labels))) >= 3
