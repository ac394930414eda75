"""Which of a project's numbers the kernels are timed with, and which kernels are left out for want of them."""

import pickle
from dataclasses import replace
from typing import Literal

import pytest

from tests.conftest import changed
from wsgcn.affinity.base import AffinityKind
from wsgcn.bench.kernels import KERNELS, kernels_to_time
from wsgcn.bench.numbers import KernelNumbers, kernel_numbers
from wsgcn.crf.base import Refinement
from wsgcn.propagate.base import Propagation
from wsgcn.sections import Section

ON_THE_CPU = {what for what, recipe in KERNELS.items() if not recipe.gpu}


class Smooth(Propagation):
    """Stands for a propagation that bench does not know."""

    kind: Literal["smooth"]


class Infer(Section):
    """No numbers."""


class FromFiles(AffinityKind):
    """Stands for an affinity without a radius."""

    kind: Literal["files"]
    train: None
    infer: Infer


class Argmax(Refinement):
    """Stands for a refinement without a CRF."""

    kind: Literal["argmax"]


@pytest.fixture
def params(tiny_params):
    """Each entry has another number."""
    return changed(
        tiny_params,
        {
            "affinity.boundary.infer.radius": 3,
            "affinity.affinitynet.infer.radius": 4,
            "crf.walk.iterations": 3,
            "propagate.gcn-p.steps": 7,
        },
    )


@pytest.mark.parametrize(
    ("name", "radius", "walk", "gcn", "crf"),
    [
        ("WSGCN-I", 3, "walk-i", "gcn-i", "gcn"),
        ("IRNet", 3, "walk-i", "gcn-i", "walk"),
        ("WSGCN-P", 4, "walk-p", "gcn-p", "gcn"),
        ("PSA", 4, "walk-p", "gcn-p", "walk"),
    ],
)
def test_a_method_brings_its_own_numbers_and_those_of_its_variant(params, name, radius, walk, gcn, crf):
    found = kernel_numbers(params, params.method(name))
    assert found == KernelNumbers(
        params.runtime.seed, radius, params.propagate[walk], params.propagate[gcn], params.crf[crf]
    )
    assert set(kernels_to_time(found)) >= ON_THE_CPU
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301


def stranger(method):
    """A method whose kinds bench does not know."""
    variant = replace(method.variant, affinity=FromFiles(kind="files", train=None, infer=Infer()))
    return replace(method, variant=variant, propagation=Smooth(kind="smooth"), crf=Argmax(kind="argmax"))


def test_other_variants_fill_in_what_is_missing(params):
    only = params.model_copy(update={"methods": {name: params.methods[name] for name in ("WSGCN-I", "PSA")}})
    found = kernel_numbers(only, stranger(params.method("WSGCN-I")))
    assert (found.walk, found.gcn) == (params.propagate["walk-p"], params.propagate["gcn-i"])
    assert (found.radius, found.crf) == (3, params.crf["gcn"])


def test_a_kernel_whose_kind_no_method_has_is_left_out(params):
    walks = params.model_copy(update={"methods": {name: params.methods[name] for name in ("IRNet", "PSA")}})
    found = kernel_numbers(walks, params.method("PSA"))
    assert found.gcn is None
    assert kernels_to_time(found) == ["affinity-graph", "random-walk", "dense-crf", "pydensecrf"]


def test_a_project_of_unknown_kinds_has_no_kernel(params):
    nothing = params.model_copy(update={"methods": {}})
    found = kernel_numbers(nothing, stranger(params.method("PSA")))
    assert found == KernelNumbers(params.runtime.seed, None, None, None, None)
    assert kernels_to_time(found) == []
