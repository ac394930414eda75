"""The vocabulary: methods, classes, palette."""

import pytest

from wsgcn.errors import UsageError
from wsgcn.vocabulary import BACKGROUND, IGNORE, METHODS, VARIANTS, find_method, palette


@pytest.mark.parametrize(
    ("variant", "propagation", "name"),
    [("I", "gcn", "WSGCN-I"), ("P", "gcn", "WSGCN-P"), ("I", "random-walk", "IRNet"), ("P", "random-walk", "PSA")],
)
def test_find_method(variant, propagation, name):
    assert find_method(variant, propagation) is METHODS[name]
    assert METHODS[name].name == name


@pytest.mark.parametrize(("variant", "propagation"), [("X", "gcn"), ("I", "walk"), ("i", "gcn"), ("gcn", "I")])
def test_unknown_method_lists_the_known_ones(variant, propagation):
    with pytest.raises(UsageError) as caught:
        find_method(variant, propagation)
    assert repr(variant) in str(caught.value)
    assert all(f"{m.variant} with {m.propagation}" in str(caught.value) for m in METHODS.values())


def test_methods_are_every_variant_with_every_propagation():
    pairs = {(m.variant, m.propagation) for m in METHODS.values()}
    assert pairs == {(v, p) for v in VARIANTS for p in ("gcn", "random-walk")}


@pytest.mark.parametrize(
    ("class_id", "rgb"),
    [
        (BACKGROUND, (0, 0, 0)),
        (1, (128, 0, 0)),
        (2, (0, 128, 0)),
        (8, (64, 0, 0)),
        (15, (192, 128, 128)),
        (20, (0, 64, 128)),
        (IGNORE, (224, 224, 192)),
    ],
)
def test_palette_has_the_devkits_colours(class_id, rgb):
    assert tuple(palette()[3 * class_id : 3 * class_id + 3]) == rgb


def test_palette_has_256_different_colours():
    flat = palette()
    assert len(flat) == 768
    assert len({tuple(flat[i : i + 3]) for i in range(0, 768, 3)}) == 256
