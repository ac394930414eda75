"""Variants and methods: found by their names, and refused with the known ones."""

import pytest

from tests.conftest import changed
from wsgcn.errors import UsageError

PAIRS = [("I", "gcn", "WSGCN-I"), ("P", "gcn", "WSGCN-P"), ("I", "random-walk", "IRNet"), ("P", "random-walk", "PSA")]


@pytest.mark.parametrize(("variant", "propagation", "name"), PAIRS)
def test_a_method_is_found_by_variant_and_kind_or_entry_of_propagation(tiny_params, variant, propagation, name):
    method = tiny_params.find_method(variant, propagation)
    assert method == tiny_params.method(name)
    assert method.name == name
    assert tiny_params.find_method(variant, method.propagation_name) == method


@pytest.mark.parametrize(("variant", "propagation"), [("X", "gcn"), ("I", "walk"), ("i", "gcn"), ("gcn", "I")])
def test_unknown_pair_lists_the_known_ones(tiny_params, variant, propagation):
    with pytest.raises(UsageError) as caught:
        tiny_params.find_method(variant, propagation)
    assert repr(variant) in str(caught.value)
    assert all(f"{variant} with {kind}" in str(caught.value) for variant, kind, _ in PAIRS)


def test_methods_are_every_variant_with_every_propagation(tiny_params):
    methods = tiny_params.all_methods()
    assert [one.name for one in methods] == ["WSGCN-I", "WSGCN-P", "IRNet", "PSA"]
    assert {(one.variant.name, one.propagation.kind, one.name) for one in methods} == set(PAIRS)


def test_a_method_has_what_it_names(tiny_params):
    method = tiny_params.method("PSA")
    assert method.variant == tiny_params.variant("P")
    assert method.propagation is tiny_params.propagate["walk-p"]
    assert method.crf is tiny_params.crf["walk"]
    assert (method.propagation_name, method.crf_name) == ("walk-p", "walk")
    variant = method.variant
    assert variant.cams is tiny_params.cams["psa"]
    assert variant.affinity is tiny_params.affinity["affinitynet"]
    assert (variant.cams_name, variant.affinity_name) == ("psa", "affinitynet")


def test_two_methods_of_one_pair_must_be_named(tiny_params):
    methods = tiny_params.model_dump(mode="json")["methods"]
    more = changed(tiny_params, {"methods": methods | {"again": methods["PSA"]}})
    assert more.method("again").propagation == more.method("PSA").propagation
    for propagation in ("random-walk", "walk-p"):
        with pytest.raises(UsageError, match=r"PSA, again all have variant 'P' .* name one by --method"):
            more.find_method("P", propagation)


@pytest.mark.parametrize("kind", ["variant", "method"])
def test_unknown_name_lists_the_known_ones(tiny_params, kind):
    known = {"variant": "I, P", "method": "WSGCN-I, WSGCN-P, IRNet, PSA"}[kind]
    with pytest.raises(UsageError, match=f"no {kind} is called 'S': params.yaml has {known}"):
        getattr(tiny_params, kind)("S")


def test_without_a_propagation_it_is_the_one_that_is_no_baseline(tiny_params):
    assert tiny_params.find_method("P", None).name == "WSGCN-P"
    walks = {
        name: one
        for name, one in tiny_params.model_dump(mode="json")["methods"].items()
        if "walk" in one["propagation"]
    }
    with pytest.raises(UsageError, match="no method has variant 'P': known are"):
        changed(tiny_params, {"methods": walks}).find_method("P", None)
