"""The pieces of ``params.yaml``: lengths of trainings, names, number types, kinds."""

from typing import Annotated, Literal

import pytest
from pydantic import TypeAdapter, ValidationError

from wsgcn.nets.registry import BACKBONES
from wsgcn.sections import BackboneName, Kind, Name, Outside, Saliency, Steps, Weights, backbone_module, step_count


@pytest.mark.parametrize(
    ("steps", "photographs", "batch", "updates"),
    [
        (200, 7, 3, 200),
        (1, 1000, 1, 1),
        ("2 epochs", 7, 3, 5),
        ("1 epochs", 6, 3, 2),
        ("1 epoch", 7, 3, 3),
        ("1 epochs", 1, 16, 1),
        ("40 epochs", 160, 8, 800),
        ("1.5 epochs", 6, 3, 3),
        ("1.5 epochs", 7, 3, 4),
        ("0.5 epochs", 10, 5, 1),
        ("0.1 epochs", 3, 8, 1),
        ("1.1 epochs", 10, 1, 11),
        ("5 epochs", 10582, 16, 3307),
    ],
)
def test_step_count_shows_each_photograph_often_enough(steps, photographs, batch, updates):
    assert step_count(steps, photographs, batch) == updates
    assert TypeAdapter(Steps).validate_python(steps) == steps


@pytest.mark.parametrize("epochs", range(1, 60))
def test_whole_epochs_are_counted_in_whole_numbers(epochs):
    assert step_count(f"{epochs} epochs", 10582, 10) == -(-epochs * 10582 // 10)


@pytest.mark.parametrize(
    "steps",
    [0, -1, 1.5, None, "", "200", "0 epochs", "0.0 epochs", "-1 epochs", "epochs", "1e2 epochs", "2 steps",
     "nan epochs", "2epochs", "2 epochs ", "1 000 epochs", ".5 epochs", [3]],
)  # fmt: skip
def test_what_is_no_length_is_refused(steps):
    with pytest.raises(ValidationError):
        TypeAdapter(Steps).validate_python(steps)


@pytest.mark.parametrize("name", ["I", "WSGCN-I", "gcn_2", "a" * 80])
def test_names_that_may_be_files(name):
    assert TypeAdapter(Name).validate_python(name) == name


@pytest.mark.parametrize(
    "name", ["", "-x", "_x", "9", "1e5", "a b", "a/b", "..", "a.b", "a@b", "ä", "A+B", "a\n", "${x}", "a:b"]
)
def test_names_that_may_not(name):
    with pytest.raises(ValidationError, match="cannot be a name: use letters, digits"):
        TypeAdapter(Name).validate_python(name)


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_has_a_module(name):
    assert TypeAdapter(BackboneName).validate_python(name) == name
    assert backbone_module(name).startswith("wsgcn.nets.")


def test_unknown_backbone_lists_the_known_ones():
    with pytest.raises(ValidationError, match=r"no backbone is called 'vgg', known are resnet-small, .*drn-d-105"):
        TypeAdapter(BackboneName).validate_python("vgg")


class Blur(Kind):
    kind: Literal["blur"]
    size: int
    factors: tuple[float, ...]


def test_a_kind_tells_its_module_and_its_parameters_for_a_fingerprint():
    blur = Blur(kind="blur", size=3, factors=(1, 2))
    assert blur.modules() == (__name__,)
    assert blur.dump() == {"size": 3, "factors": [1.0, 2.0]}
    assert blur.dump("size") == {"size": 3}


class Masks(Kind):
    kind: Literal["masks"]
    folder: Annotated[str, Outside]
    saliency: Saliency | None
    weights: Weights


def test_paths_are_for_the_file_and_not_for_a_fingerprint():
    """Whose content is digested besides, so that files may be moved; whether there are any still counts."""
    content = {"kind": "masks", "folder": "a", "saliency": {"folder": "b", "threshold": 0.5}, "weights": "c"}
    moved = {"folder": "x", "saliency": {"folder": "y", "threshold": 0.5}, "weights": "z"}
    here, elsewhere = (Masks.model_validate(one) for one in (content, content | moved))
    assert here.dump() == elsewhere.dump()
    assert here.dump() != here.model_copy(update={"saliency": None}).dump()
    assert here.dump() != here.model_copy(update={"weights": None}).dump()
    assert here.dump()["saliency"]["threshold"] == 0.5
    assert Masks.model_validate(here.model_dump(mode="json")) == here


@pytest.mark.parametrize(
    "change", [{"more": 1}, {"kind": "smooth"}, {"size": float("inf")}, {"factors": (float("nan"),)}, {"size": None}]
)
def test_a_section_has_every_key_and_no_other(change):
    with pytest.raises(ValidationError):
        Blur.model_validate({"kind": "blur", "size": 3, "factors": (1, 2)} | change)
    with pytest.raises(ValidationError):
        Blur.model_validate({"kind": "blur", "size": 3})


def test_a_section_is_frozen():
    blur = Blur(kind="blur", size=3, factors=(1,))
    with pytest.raises(ValidationError, match="frozen"):
        blur.size = 4
