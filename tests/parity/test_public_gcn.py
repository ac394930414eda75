"""The objective, the graph and the enlarging of the public WSGCN beside ours, with the numbers of preset ``voc12``."""

import sys

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from torch.nn import functional

from tests.parity.public import MARKS
from tests.propagate.cases import affinities, labels, normal, picture
from tests.reference import propagate as reference
from wsgcn.ops.resize import enlarge_scores
from wsgcn.params import load_params
from wsgcn.propagate.graph import to_torch
from wsgcn.propagate.losses import build_objective, colour_affinity
from wsgcn.propagate.network import Gcn
from wsgcn.vocabulary import PRESET_FOLDER

GRID, CLASSES, FEATURES = (6, 8), 21, 9
PARAMS = load_params(PRESET_FOLDER / "voc12.yaml").propagate["gcn-i"]

pytestmark = MARKS


@pytest.fixture
def train(theirs, without, monkeypatch):
    """Their module of that name."""
    monkeypatch.setattr(sys, "argv", ["train.py"])
    without("cv2", "fire", "tensorboardX", "dataset")
    return theirs("wsgcn/GCN", "train")


def contrasts():
    """A photograph of all colours, at the grid's resolution."""
    return np.random.default_rng(0).integers(0, 256, (*GRID, 3), dtype=np.uint8)


def their_loss(train, log_probs, given, rgb_u8):
    """The five numbers, in our order, as the loop of ``gcn_train`` adds them up."""
    foreground, background = given.copy(), given.copy()
    foreground[given == 0], background[given != 0] = 255, 255
    rows, columns = np.mgrid[: GRID[0], : GRID[1]]
    data = {"rgbxy_t": torch.from_numpy(np.dstack([rgb_u8 / 255, rows, columns]))}
    smoothness = train.compute_lap_test(data, None, radius=2).type_as(log_probs)
    targets = [torch.from_numpy(one).long() for one in (foreground, background, given)]
    parts = [functional.nll_loss(log_probs, one, ignore_index=255) for one in targets[:2]]
    parts += [train.HLoss()(log_probs, targets[2]), torch.trace(log_probs.T @ (smoothness @ log_probs)) / len(given)]
    return torch.stack([parts[0] + parts[1] + 10.0 * parts[2] + 1e-2 * parts[3], *parts])


def our_objective(given, rgb_u8):
    colours = (PARAMS.colour_variance, PARAMS.distance_variance, PARAMS.colour_scale, PARAMS.window)
    weights = (PARAMS.entropy_weight, PARAMS.laplacian_weight)
    return build_objective(given, CLASSES, colour_affinity(rgb_u8, *colours), PARAMS.objective, *weights)


@pytest.mark.parametrize("rgb_u8", [contrasts(), picture(GRID)], ids=["contrasts", "no contrasts"])
@pytest.mark.parametrize("seed", [0, 1])
def test_losses_and_their_gradient(train, rgb_u8, seed):
    logits = (2 * normal(48, CLASSES, seed=seed)).requires_grad_()
    given = labels("mixed", 48, 4, seed)
    expected = their_loss(train, logits.log_softmax(dim=1), given, rgb_u8)
    (found,), gradient = our_objective(given, rgb_u8)(logits.detach())
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=0)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected[0], logits)[0], rtol=0, atol=1e-10)
    assert found[4] > 1  # the Laplacian is not empty


@pytest.fixture
def adjacency(train, theirs):
    """Their Ã, ``(48, 48)``."""
    dense = affinities(GRID)[0]
    transition = theirs("wsgcn/IRN", "misc.indexing").to_transition_matrix(torch.from_numpy(dense), 10, 8)
    return sys.modules["utils"].preprocess_adj(transition, "cpu")


def test_graph(adjacency):
    expected = reference.public_graph_dense(affinities(GRID)[0], PARAMS.walk.beta, 256, PARAMS.normalisation)
    np.testing.assert_allclose(adjacency, expected, rtol=0, atol=1e-10)
    walked = reference.walked_graph_dense(affinities(GRID)[0], PARAMS.walk.beta, 256, PARAMS.normalisation)
    assert (np.abs(walked - expected).sum(axis=1) / 2).max() < 0.06


def test_gradients_of_the_weights(train, adjacency):
    torch.manual_seed(0)
    model = train.GCN(FEATURES, PARAMS.hidden, CLASSES, PARAMS.dropout).double().eval()
    given, features = labels("mixed", 48, 4), normal(48, FEATURES)
    losses = their_loss(train, model(features, adjacency), given, contrasts())
    losses[0].backward()
    weights = (model.gc1.weight, model.gc2.weight, model.gc1.bias[None], model.gc2.bias[None])
    graphs = (to_torch(csr_array(one.numpy())) for one in (adjacency, adjacency.T))
    gcn = Gcn(*graphs, *(one.detach()[None] for one in weights))
    propagated = (adjacency @ features)[None]
    hidden = gcn.hidden(propagated)
    (found,), d_logits = our_objective(given, contrasts())(gcn.logits(hidden))
    torch.testing.assert_close(found, losses, rtol=1e-8, atol=0)
    theirs = (model.gc1.weight.grad, model.gc2.weight.grad, model.gc1.bias.grad[None], model.gc2.bias.grad[None])
    for gradient, expected in zip(gcn.gradients(propagated, hidden, d_logits), theirs, strict=True):
        torch.testing.assert_close(gradient[0], expected, rtol=1e-8, atol=1e-8)


def test_enlarged_scores_and_labels(train, monkeypatch):
    height, width = 4 * GRID[0] - 1, 4 * GRID[1] - 3
    saved = []
    monkeypatch.setattr(train, "imread", lambda _: np.zeros((height, width, 3), np.uint8))
    monkeypatch.setattr(train, "load_image_label_from_xml", lambda **_: np.arange(1, 21))
    monkeypatch.setattr(train.os, "makedirs", lambda _: None)
    monkeypatch.setattr(train.np, "save", lambda _, scores: saved.append(np.stack([*scores.values()])))
    monkeypatch.setattr(train.misc_old, "toimage", lambda mask, **_: saved.append(mask) or monkeypatch)
    monkeypatch.setattr(monkeypatch, "save", lambda _: None, raising=False)
    log_probs = (3 * normal(48, CLASSES)).float().log_softmax(dim=1)
    train.postprocess_image_save(log_probs, "a", save_prediction_np=True)
    probs = log_probs.exp().T.reshape(CLASSES, *GRID).numpy()
    found = enlarge_scores(probs, (height, width), PARAMS.upsampling == "log-probabilities")
    np.testing.assert_allclose(found, saved[0], rtol=0, atol=1e-5)
    assert (found.argmax(axis=0) == saved[1]).mean() > 0.999
