"""The command that compares methods of any two projects."""

from __future__ import annotations

import numpy as np
import pytest

from tests import difference
from wsgcn.ops.iou import miou_difference
from wsgcn.store.counts import PhotographCounts, save_counts
from wsgcn.store.paths import Artifacts


def made(seed, hits):
    there = 100 * np.random.default_rng(seed).integers(5, 15, (20, 2))
    return np.stack([(there * hits).round(), there, there], axis=2).astype(np.int32)


def write(project, name, ids=tuple("abcdefghijklmnopqrst"), **steps):
    save_counts(Artifacts(project / "artifacts").photographs(name), PhotographCounts(ids, ("background", "cat"), steps))


@pytest.fixture
def projects(tmp_path):
    """Two projects of which each has a method."""
    one, other = tmp_path / "one", tmp_path / "other"
    write(one, "WSGCN-I", pseudo=made(0, 0.7), pseudo_crf=made(0, 0.8))
    write(other, "IRNet", pseudo=made(0, 0.6), pseudo_crf=made(0, 0.75), pseudo_best=made(0, 0.65))
    return one, other


@pytest.mark.parametrize(
    ("words", "own", "beside"),
    [([], 0.8, 0.75), (["--step", "pseudo"], 0.7, 0.6), (["--step", "pseudo_best"], 0.7, 0.65)],
)
def test_difference_of_a_step(projects, capsys, words, own, beside):
    one, other = projects
    difference.main([str(one), "WSGCN-I", str(other), "IRNet", *words])
    found = miou_difference(made(0, own), made(0, beside))
    value, low, high = (f"{100 * one:+.1f}" for one in found)
    mious = f"{100 * own / (2 - own):.1f} against {100 * beside / (2 - beside):.1f}"
    assert capsys.readouterr().out == f"{value} ({low} to {high}): {mious}, 20 photographs\n"


def test_other_photographs_are_refused(projects):
    one, other = projects
    write(other, "PSA", tuple("bacdefghijklmnopqrst"), pseudo_crf=made(0, 0.6))
    with pytest.raises(SystemExit, match="not scored on the same photographs"):
        difference.main([str(one), "WSGCN-I", str(other), "PSA"])
