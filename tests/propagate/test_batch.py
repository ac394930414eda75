"""Images in one batch learn what each learns alone: graphs of any size, any number of classes."""

import numpy as np
import pytest
import torch

from tests.conftest import changed
from tests.propagate.cases import KINDS, affinities, labels, made_up_photograph, normal, picture, torch_graph
from tests.propagate.test_network import FEATURES, Numbers
from wsgcn.ops.resize import upsample_labels
from wsgcn.params import load_params
from wsgcn.propagate.batch import collate
from wsgcn.propagate.losses import build_objective, colour_affinity
from wsgcn.propagate.network import Problem, fit
from wsgcn.propagate.photograph import gcn_scores
from wsgcn.store.code import PACKAGE

CASES = [((3, 4), 3), ((1, 1), 2), ((2, 7), 5), ((3, 4), 1)]
"""Grid and classes of each image."""


def _problem(grid, classes, kind="row", objective="reference", seed=0):
    graphs = torch_graph(affinities(grid, seed)[1], kind)
    nodes = grid[0] * grid[1]
    phi = colour_affinity(picture(grid, seed), 6, 200, 255, 5)
    built = build_objective(labels("mixed", nodes, classes, seed), classes, phi, objective, 10, 0.01)
    propagated = (graphs[0] @ normal(nodes, FEATURES, seed=seed))[None]
    return Problem(*graphs, propagated, built, [classes], [torch.Generator().manual_seed(seed)])


def _problems(kind="row", objective="reference", cases=CASES):
    return [_problem(*case, kind, objective, seed) for seed, case in enumerate(cases)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("objective", ["paper", "reference"])
def test_every_image_learns_what_it_learns_alone(kind, objective):
    numbers = Numbers(steps=12)
    probs, losses = fit(collate(_problems(kind, objective)), numbers)
    for image, problem in enumerate(_problems(kind, objective)):
        (alone,), (curve,) = fit(problem, numbers)
        torch.testing.assert_close(probs[image, : len(alone), : alone.shape[1]], alone, rtol=0, atol=1e-10)
        torch.testing.assert_close(losses[image], curve, rtol=0, atol=1e-10)
        assert (probs[image, :, alone.shape[1] :] == 0).all()


def test_images_of_one_size_and_as_many_classes_need_no_mask():
    assert collate(_problems(cases=[((3, 4), 3), ((2, 6), 3)])).objective.absent is None
    assert collate(_problems()).objective.absent is not None


def test_batch_has_32_bit_indices_and_nothing_of_padding():
    batch = collate(_problems())
    assert batch.graph.col_indices().dtype == torch.int32
    assert batch.graph.shape == (56, 56)
    alone = _problems()
    for image, problem in enumerate(alone):
        rows = slice(14 * image, 14 * image + problem.graph.shape[0])
        assert torch.equal(batch.graph.to_dense()[rows, rows], problem.graph.to_dense())
    assert batch.graph.values().numel() == sum(problem.graph.values().numel() for problem in alone)


def _photographs(cases):
    return [made_up_photograph(*case) for case in cases]


def test_photographs_together_give_the_same_labels_as_one_by_one(tiny_params):
    params = changed(tiny_params, {"propagate.gcn-i.steps": 20}).propagate["gcn-i"]
    cases, cpu = [((7, 9), 3), ((8, 6), 2), ((7, 9), 4)], torch.device("cpu")
    together = gcn_scores(_photographs(cases), params, cpu)
    for result, photograph in zip(together, _photographs(cases)):
        (alone,) = gcn_scores([photograph], params, cpu)
        np.testing.assert_array_equal(result.labels, alone.labels)
        np.testing.assert_allclose(result.probs, alone.probs, atol=1e-4)
        np.testing.assert_allclose(result.losses, alone.losses, rtol=1e-3, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_gpu_gives_the_labels_of_the_cpu():
    params = load_params(PACKAGE / "presets" / "voc12.yaml").propagate["gcn-i"]
    cases = [((94, 125), 3), ((125, 94), 2), ((84, 125), 4), ((94, 125), 5)]
    together = gcn_scores(_photographs(cases), params, torch.device("cuda"))
    same = []
    for result, photograph in zip(together, _photographs(cases)):
        (alone,) = gcn_scores([photograph], params, torch.device("cpu"))
        size = tuple(4 * side for side in result.labels.shape)
        class_ids = np.arange(len(alone.probs))
        pair = [upsample_labels(class_ids, probs, size) for probs in (result.probs, alone.probs)]
        same.append((pair[0] == pair[1]).mean())
    assert np.mean(same) >= 0.999
