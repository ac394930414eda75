"""Graphs on disk; what every per-image stage promises is in ``tests/test_stages.py``."""

import numpy as np
import pytest

from tests.conftest import real_content
from wsgcn.ops.resize import grid_size
from wsgcn.ops.stencil import half_disc
from wsgcn.store.records import Affinity, Cams, load_record


@pytest.mark.parametrize("name", real_content()["variants"])
def test_every_training_photograph_gets_a_graph_on_the_grid_of_its_cams(made, tiny_params, tiny_index, name):
    variant = tiny_params.variant(name)
    offsets = half_disc(variant.affinity.infer.radius)
    for image in tiny_index.split("train"):
        record = load_record(made.arrays("affinity", name, image.id), Affinity)
        grid = grid_size(image.height, image.width, variant.affinity.train.stride)
        assert record.weights.shape == (len(offsets), *grid)
        assert load_record(made.arrays("cams", name, image.id), Cams).cams.shape[1:] == grid
        assert record.offsets.tolist() == [list(one) for one in offsets]
        for part in (record.weights, record.boundary):
            assert 0 <= part.min() <= part.max() <= 1
        assert (record.boundary == 0).all() == (variant.affinity.kind == "affinitynet")
        rows, columns = np.mgrid[: grid[0], : grid[1]]
        for (dy, dx), weights in zip(offsets, record.weights):
            outside = (rows + dy >= grid[0]) | (columns + dx < 0) | (columns + dx >= grid[1])
            assert (weights[outside] == 0).all()
