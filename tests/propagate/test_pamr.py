"""The kind ``pamr``: it needs CAMs and colours alone."""

import numpy as np
import pytest

from tests import chain
from tests.conftest import changed
from wsgcn.errors import UsageError
from wsgcn.ops.grid import Grid
from wsgcn.propagate.base import PropagationInput
from wsgcn.propagate.pamr import Pamr
from wsgcn.store.records import Cams, Scores, load_record

PARAMS = {"kind": "pamr", "dilations": [1, 2], "iterations": 10, "background": 0.4, "alpha": None}


def _photograph():
    """Left half dark, right half bright; the CAM knows of a part of the bright half."""
    rgb_u8 = np.zeros((12, 16, 3), dtype=np.uint8)
    rgb_u8[:, 8:] = 200
    cams = np.zeros((1, 12, 16), dtype=np.float32)
    cams[0, 2:10, 7:14] = 1
    grid = Grid((12, 16), (48, 64), 0)
    return PropagationInput(np.array([0, 3]), cams, cams, grid, None, rgb_u8, 0, None)


def _scores(photograph, **values):
    (found,) = Pamr(**(PARAMS | values)).scores([photograph], "cpu")
    return found


def test_it_declares_that_it_reads_colours_and_no_graph():
    assert (Pamr.reads_affinity, Pamr.reads_photo, Pamr.seeded, Pamr.losses) == (False, True, False, ())


def test_cams_keep_to_their_colour():
    found = _scores(_photograph())
    assert found.class_ids.tolist() == [0, 3]
    assert found.scores[0] == pytest.approx(0.4)
    labels = found.scores.argmax(axis=0)
    assert labels[6, 8:13].all()
    assert not labels[:, :8].any()
    assert _photograph().cams[0, 6, 7] == 1  # as the CAM had it


def test_a_background_of_the_cams_spreads_too():
    found = _scores(_photograph(), background=None, alpha=2)
    given = _scores(_photograph(), background=None, alpha=2, iterations=0)
    assert given.scores.tolist() == [(1 - _photograph().cams[0]).tolist(), _photograph().cams[0].tolist()]
    assert found.scores.sum(axis=0) == pytest.approx(1)
    assert found.scores[0, 6, 7] > 0.9


def test_a_constant_background_can_be_set_afterwards():
    scores = _scores(_photograph()).scores
    limits = Pamr(**PARAMS).background_limits(scores)
    assert (limits == scores[1]).all()


def test_the_stage_gives_it_the_grid_of_the_cams(tiny_params, made):
    """A method without a graph runs through the stage, with its variant's affinity deleted."""
    content = tiny_params.model_dump(mode="json")
    methods = content["methods"] | {"Pamr-I": content["methods"]["IRNet"] | {"propagation": "pamr"}}
    params = changed(tiny_params, {"propagate": content["propagate"] | {"pamr": PARAMS}, "methods": methods})
    for path in made.folder("affinity", "I").iterdir():
        path.unlink()
    chain.run_stage("propagate", "Pamr-I", params, made)
    for path in made.folder("propagate", "Pamr-I").iterdir():
        cams = load_record(made.arrays("cams", "I", path.stem), Cams)
        assert load_record(path, Scores).scores.shape[1:] == cams.cams.shape[1:]


@pytest.mark.parametrize(("values", "said"), [({"alpha": 4}, "give background"), ({"dilations": []}, "dilations")])
def test_what_it_cannot_do_is_refused(tiny_params, values, said):
    propagate = tiny_params.model_dump(mode="json")["propagate"]
    with pytest.raises(UsageError, match=said):
        changed(tiny_params, {"propagate": propagate | {"pamr": PARAMS | values}})
