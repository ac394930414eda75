"""The kind ``gcn``: its parameters, and which photographs a GPU learns at once."""

import pytest

from tests.conftest import changed
from wsgcn.errors import UsageError
from wsgcn.propagate import gcn


@pytest.mark.parametrize("pixels", [1, 4000, 10**9])
def test_groups_hold_all_photographs_and_no_more_than_fit(tiny_params, tiny_index, monkeypatch, pixels):
    monkeypatch.setattr(gcn, "GPU_PIXELS", pixels)
    images = tiny_index.split("train")
    groups = tiny_params.propagate["gcn-i"].together(images, "cuda")
    assert sorted(image.id for group in groups for image in group) == sorted(image.id for image in images)
    sizes = [[image.height * image.width for image in group] for group in groups]
    assert all(len(group) == 1 or len(group) * max(group) <= pixels for group in sizes)
    assert (len(groups) == 1) == (pixels == 10**9)


def test_on_a_cpu_and_in_a_walk_each_photograph_is_alone(tiny_params, tiny_index):
    images = tiny_index.split("train")
    for name, device in (("gcn-i", "cpu"), ("walk-i", "cuda")):
        assert tiny_params.propagate[name].together(images, device) == [[image] for image in images]


def test_only_the_gcn_gains_from_a_gpu(tiny_params):
    assert tiny_params.propagate["walk-i"].device("cuda") == "cpu"
    assert tiny_params.propagate["gcn-i"].device("cpu") == "cpu"
    with pytest.raises(UsageError, match=r"runtime\.device is 'tpu'"):
        tiny_params.propagate["gcn-i"].device("tpu")


def test_window_without_a_centre_is_refused(tiny_params):
    with pytest.raises(UsageError, match="window must be odd"):
        changed(tiny_params, {"propagate.gcn-i.window": 4})
