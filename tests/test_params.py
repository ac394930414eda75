"""``params.yaml``: every mistake is one line that names the key, and no line speaks pydantic's words."""

import contextlib
import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from tests.conftest import ROOT, changed, real_content
from tests.projects import merged
from tests.test_compared import PAGES, on_the_demo
from wsgcn.affinity.base import AffinityKind
from wsgcn.cams.base import CamSource
from wsgcn.crf.base import Refinement
from wsgcn.dataset.base import Dataset
from wsgcn.errors import UsageError
from wsgcn.nets.registry import BACKBONES
from wsgcn.params import DATASETS, Params, load_params, parse_params
from wsgcn.propagate.base import Propagation
from wsgcn.sections import Kind, Section

PYDANTICS_WORDS = ("Input", "union_tag", "[key]", "dictionary", "tuple", "Tuple", "parse", "instance of", "Value error")
CONTENT, PARAMS = real_content(), load_params(ROOT / "params.yaml")


def _mistake(change) -> str:
    """What is said of the real parameters after a change: one line in plain words."""
    content = copy.deepcopy(CONTENT)
    change(content)
    with pytest.raises(UsageError) as caught:
        parse_params(content, "params.yaml")
    message = str(caught.value)
    assert message.startswith("params.yaml: ")
    assert "\n" not in message
    assert [word for word in PYDANTICS_WORDS if word in message] == []
    return message.removeprefix("params.yaml: ")


def _set(key: str, value: Any):
    """A change of the value at a dotted key."""
    owner, _, last = key.rpartition(".")
    return lambda content: _at(content, owner).update({last: value})


def _renamed(key: str, name: Any):
    """A change of the last part of a dotted key."""

    def change(content):
        owner, _, last = key.rpartition(".")
        _at(content, owner)[name] = _at(content, owner).pop(last)

    return change


def _at(content: Any, path: str) -> Any:
    for part in path.split(".") if path else []:
        content = content[part]
    return content


def _sections(value: Any, path: str = "") -> Iterator[tuple[str, Section]]:
    """Every section by its dotted key, entries of dictionaries too."""
    if isinstance(value, Section):
        yield path, value
        value = {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield from _sections(one, f"{path}.{name}".strip("."))


SECTIONS = dict(_sections(PARAMS))
each_section = pytest.mark.parametrize("path", SECTIONS)
each_kind = pytest.mark.parametrize("path", [path for path, one in SECTIONS.items() if isinstance(one, Kind)])


def test_real_file_is_read_and_says_what_it_says():
    assert PARAMS.propagate["gcn-i"].steps == 250
    assert PARAMS.propagate["gcn-i"].colour_variance == 600
    assert PARAMS.cams["irnet"].train.steps == "20 epochs"
    assert PARAMS.model_dump(mode="json").keys() == CONTENT.keys()
    assert parse_params(PARAMS.model_dump(mode="json"), "again") == PARAMS


def test_weights_of_the_package_are_found_from_any_folder():
    assert Path(PARAMS.cams["irnet"].train.weights).is_file()
    assert CONTENT["cams"]["irnet"]["train"]["weights"] == "package:resnet-small.pt"
    message = _mistake(_set("segtrain.deeplab.weights", "package:vgg.pt"))
    assert message == "segtrain.deeplab.weights: the package has no 'vgg.pt', it has resnet-small.pt"


def test_every_section_is_tried_here():
    assert {"", "methods.PSA", "affinity.boundary.train.seeds.crf", "propagate.walk-p", "dataset"} <= SECTIONS.keys()
    bases = (CamSource, AffinityKind, Propagation, Refinement, Dataset)
    assert {base for base in bases for one in SECTIONS.values() if isinstance(one, base)} == set(bases)


# ---------------------------------------------------------------- keys


@each_section
def test_unknown_key_is_named_with_the_known_ones(path):
    known = list(_at(CONTENT, path))
    message = _mistake(lambda content: _at(content, path).update(bogus=1))
    assert f"unknown key {f'{path}.bogus'.strip('.')!r}, known here are " in message
    assert all(key in message for key in known)


@each_section
def test_missing_key_is_named_with_the_known_ones(path):
    key, *others = [one for one in _at(CONTENT, path) if one != "kind"]
    message = _mistake(lambda content: _at(content, path).pop(key))
    assert f"key {f'{path}.{key}'.strip('.')!r} is missing, known here are " in message
    assert all(other in message for other in others)


def test_a_number_may_be_a_wrong_key_too():
    assert _mistake(_set("propagate.walk-i", {**CONTENT["propagate"]["walk-i"], 3: 4})).startswith(
        "unknown key 'propagate.walk-i.3', known here are "
    )


def test_the_keys_are_those_of_the_kind():
    message = _mistake(_set("propagate.walk-i.kind", "gcn"))
    assert "unknown key 'propagate.walk-i.background'" in message
    assert "key 'propagate.walk-i.objective' is missing" in message
    assert message.count("known here are kind, objective") == 1
    assert "unknown key 'dataset.root'" in _mistake(_set("dataset.root", "x"))
    seeds = _mistake(_set("affinity.boundary.train.seeds.alphas", [4, 32]))
    assert seeds.startswith("unknown key 'affinity.boundary.train.seeds.alphas', known here are ")
    assert seeds.endswith(" stride, crf, saliency, foreground, background, gt_prob")


# ---------------------------------------------------------------- kinds and names


@each_kind
@pytest.mark.parametrize("given", ["nix", None, 3, ["gcn"]])
def test_unknown_kind_lists_the_known_ones(path, given):
    message = _mistake(_set(f"{path}.kind", given))
    assert message.startswith(f"{path}.kind: no kind is called {given!r}, known are ")
    assert SECTIONS[path].kind in message


@each_kind
def test_missing_kind_lists_the_known_ones(path):
    message = _mistake(lambda content: _at(content, path).pop("kind"))
    assert message.startswith(f"key '{path}.kind' is missing, known are ")
    assert SECTIONS[path].kind in message


def test_all_kinds_are_listed():
    message = _mistake(_set("dataset.kind", "coco"))
    known = [one.model_fields["kind"].annotation.__args__[0] for one in DATASETS]
    assert message == f"dataset.kind: no kind is called 'coco', known are {', '.join(known)}"


@pytest.mark.parametrize("key", ["cams.irnet.train", "affinity.affinitynet.train", "segtrain.deeplab"])
def test_unknown_backbone_lists_the_known_ones(key):
    message = _mistake(_set(f"{key}.backbone", "vgg"))
    assert message == f"{key}.backbone: no backbone is called 'vgg', known are {', '.join(BACKBONES)}"


@pytest.mark.parametrize(
    ("key", "section", "known"),
    [
        ("variants.I.cams", "cams", "irnet, psa"),
        ("variants.P.affinity", "affinity", "boundary, affinitynet"),
        ("methods.PSA.variant", "variants", "I, P"),
        ("methods.WSGCN-I.propagation", "propagate", "gcn-i, gcn-p, walk-i, walk-p"),
        ("methods.IRNet.crf", "crf", "gcn, walk"),
    ],
)
def test_unknown_name_lists_the_known_ones(key, section, known):
    assert _mistake(_set(key, "nix")) == f"{key}: {section} has no 'nix', known are {known}"


def test_all_unknown_names_are_told_at_once():
    message = _mistake(_set("cams", {}))
    assert message == (
        "variants.I.cams: cams has no 'irnet', known are none; variants.P.cams: cams has no 'psa', known are none"
    )


@pytest.mark.parametrize("key", ["methods.PSA", "variants.I", "cams.psa", "propagate.gcn-i", "crf.walk"])
@pytest.mark.parametrize("name", ["", "a b", "a/b", "..", "a.b", "a@b", "A+B", "-x", "a\nb", "${x}"])
def test_bad_name_is_told(key, name):
    assert f"{name!r} cannot be a name: use letters, digits, - and _" in _mistake(_renamed(key, name))


def test_name_that_yaml_takes_for_a_number():
    assert _mistake(_renamed("methods.PSA", 3)) == "methods.3: must be text, not 3"


@pytest.mark.parametrize("section", ["variants", "methods"])
def test_something_must_be_compared(section):
    assert f"{section}: must have more entries, not {{}}" in _mistake(_set(section, {}))


@pytest.mark.parametrize("name", ["gcn", "kind", "random-walk", "train", "a" * 60])
def test_entries_may_be_called_like_kinds_and_keys(name):
    """Then too a mistake in one is told with the key as the file has it."""
    entry = CONTENT["propagate"]["gcn-i"]
    assert _mistake(_set(f"propagate.{name}", entry | {"steps": 0})).startswith(f"propagate.{name}.steps: must be")
    assert f"'propagate.{name}.walk.x'" in _mistake(_set(f"propagate.{name}", entry | {"walk": {"x": 1}}))
    assert changed(PARAMS, {"propagate": CONTENT["propagate"] | {name: entry}}).propagate[name].steps == 250


def test_any_number_of_variants_methods_and_entries():
    content = copy.deepcopy(CONTENT)
    content["cams"] = {f"c{number}": content["cams"]["psa"] for number in range(5)}
    content["affinity"] = {"only": content["affinity"]["boundary"]}
    content["variants"] = {
        f"v{number}": {"cams": f"c{number}", "affinity": "only", "after": "dataset/index.json"} for number in range(5)
    }
    content["methods"] = {
        f"{variant}-{entry}": {"variant": variant, "propagation": entry, "crf": "walk", "segtrain": "deeplab"}
        for variant in content["variants"]
        for entry in content["propagate"]
    }
    params = parse_params(content, "params.yaml")
    assert [one.name for one in params.all_methods()] == list(content["methods"])
    assert len(content["methods"]) == 20
    chosen = params.method("v3-walk-p")
    assert (chosen.variant.cams_name, chosen.variant.affinity_name) == ("c3", "only")
    assert chosen.propagation is params.propagate["walk-p"]


def test_one_of_everything_is_enough():
    content = copy.deepcopy(CONTENT)
    content["variants"] = {"X": {"cams": "psa", "affinity": "boundary", "after": "dataset/index.json"}}
    content["methods"] = {"XY": {"variant": "X", "propagation": "walk-i", "crf": "gcn", "segtrain": "deeplab"}}
    for section, only in (("cams", "psa"), ("affinity", "boundary"), ("propagate", "walk-i"), ("crf", "gcn")):
        content[section] = {only: content[section][only]}
    method = parse_params(content, "params.yaml").find_method("X", "random-walk")
    assert (method.name, method.crf_name) == ("XY", "gcn")


# ---------------------------------------------------------------- finding a method


def test_find_method_by_kind_and_by_entry():
    assert PARAMS.find_method("I", "gcn") == PARAMS.find_method("I", "gcn-i") == PARAMS.method("WSGCN-I")
    assert PARAMS.find_method("P", "random-walk") == PARAMS.find_method("P", "walk-p") == PARAMS.method("PSA")


@pytest.mark.parametrize(("variant", "propagation"), [("X", "gcn"), ("I", "none"), ("I", "gcn-p")])
def test_method_that_cannot_be_found_lists_the_known_ones(variant, propagation):
    with pytest.raises(
        UsageError, match=f"no method has variant {variant!r} with propagation {propagation!r}"
    ) as caught:
        PARAMS.find_method(variant, propagation)
    assert "known are I with gcn (WSGCN-I), P with gcn (WSGCN-P), I with random-walk (IRNet)" in str(caught.value)


def test_ambiguous_method_must_be_named():
    content = copy.deepcopy(CONTENT)
    content["propagate"]["long"] = content["propagate"]["gcn-i"] | {"steps": 500}
    content["methods"]["Long"] = {"variant": "I", "propagation": "long", "crf": "gcn", "segtrain": "deeplab"}
    params = parse_params(content, "params.yaml")
    assert params.find_method("I", "long").name == "Long"
    assert params.find_method("I", "gcn-i").name == "WSGCN-I"
    with pytest.raises(UsageError, match=r"^WSGCN-I, Long all have variant 'I' .*: name one by --method$"):
        params.find_method("I", "gcn")


@pytest.mark.parametrize("find", ["variant", "method"])
def test_unknown_variant_and_method_list_the_known_ones(find):
    with pytest.raises(UsageError, match=rf"^no {find} is called 'x': params\.yaml has ") as caught:
        getattr(PARAMS, find)("x")
    assert str(caught.value).endswith(", ".join(getattr(PARAMS, f"{find}s")))


# ---------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("runtime.seed", "many"),
        ("runtime.seed", -1),
        ("runtime.workers", 1.5),
        ("runtime.engine", "threads"),
        ("runtime.address", 6379),
        ("runtime.device", 3),
        ("runtime.devices", 0),
        ("runtime.store_gb", 0),
        ("dataset.classes", "background"),
        ("dataset.classes", ["background"]),
        ("dataset.classes", ["background", "cat", "cat"]),
        ("dataset.height", 5),
        ("dataset", None),
        ("variants.I", None),
        ("methods.PSA", "P"),
        ("cams", ["irnet"]),
        ("cams.irnet", "classifier"),
        ("propagate.gcn-i", None),
        ("cams.irnet.train.backbone", 50),
        ("cams.irnet.train.scale", [1.0]),
        ("cams.irnet.train.scale", [1.0, 1.0, 1.0]),
        ("cams.irnet.train.scale", None),
        ("cams.psa.train.long_side", [256, 512]),
        ("cams.psa.infer.stride", 3),
        ("cams.irnet.infer.scales", []),
        ("affinity.affinitynet.train.jitter", {"hue": 0.6}),
        ("affinity.boundary.train.radius", 1),
        ("affinity.boundary.train.displacement", "maybe"),
        ("affinity.affinitynet.train.seeds.alphas", [4, 0]),
        ("propagate.gcn-i.objective", "mine"),
        ("propagate.gcn-i.normalisation", True),
        ("propagate.gcn-i.dropout", 1.0),
        ("propagate.gcn-i.lr", float("nan")),
        ("propagate.gcn-i.lr", float("inf")),
        ("propagate.gcn-i.lr", "fast"),
        ("propagate.gcn-i.steps", "40 epochs"),
        ("propagate.gcn-i.window", 4),
        ("propagate.gcn-i.partial_labels.min_prob", 1.1),
        ("propagate.walk-i.alpha", 16),
        ("propagate.walk-p.alpha", None),
        ("crf.gcn.iterations", -1),
        ("segtrain", None),
        ("segtrain.deeplab.steps", 0),
        ("segtrain.deeplab.steps", "many"),
        ("evaluate.panels", None),
    ],
)
def test_bad_value_is_one_line_that_names_its_key(key, value):
    message = _mistake(_set(key, value))
    assert key in message or f"{key.rpartition('.')[0]}:" in message
    assert len(message) < 400


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("runtime.seed", "many", "must be a whole number, not 'many'"),
        ("runtime.seed", "9" * 29 + "x" * 99, "must be a whole number, not '999999999999...xxxxxxxxxxxxx'"),
        ("crf.gcn.softmax", 3, "must be true or false, not 3"),
        ("propagate", None, "must have keys with values, not None"),
        ("propagate.gcn-i.walk", [10, 5], "must have keys with values, not [10, 5]"),
        ("propagate.gcn-i.lr", "fast", "must be a number, not 'fast'"),
        ("propagate.gcn-i.objective", "mine", "must be 'paper' or 'reference', not 'mine'"),
        ("dataset.classes", "cat", "must be a list, not 'cat'"),
        ("evaluate.cam_background", "x", "give a number from 0 to 1, or one for each CAM source by its name, not 'x'"),
        ("evaluate.cam_background", 2, "give a number from 0 to 1, or one for each CAM source by its name, not 2"),
        ("evaluate.cam_background", {"irnet": 0.1}, "give psa a number too, or all one"),
        ("evaluate.seg_scales", [], "must have more entries, not []"),
        ("segtrain.deeplab.scale", [1], "must have more entries, not [1]"),
        ("segtrain.deeplab.scale", [1, 2, 3], "must have fewer entries, not [1, 2, 3]"),
        (
            "segtrain.deeplab.steps",
            "40epochs",
            "give gradient updates, such as 200, or passes, such as 40 epochs, not '40epochs'",
        ),
        ("segtrain.deeplab.steps", None, "give gradient updates, such as 200, or passes, such as 40 epochs, not None"),
        ("segtrain.deeplab.steps", True, "give gradient updates, such as 200, or passes, such as 40 epochs, not True"),
    ],
)
def test_bad_value_is_told_in_plain_words(key, value, said):
    assert _mistake(_set(key, value)) == f"{key}: {said}"


def test_a_wrong_entry_does_not_make_a_list_too_short():
    assert _mistake(_set("evaluate.seg_scales", [1000])) == "evaluate.seg_scales.0: must be from 0.1 to 10, not 1000"


def test_a_rule_of_a_section_is_told_without_its_whole_content():
    assert _mistake(_set("propagate.gcn-p.window", 4)) == "propagate.gcn-p: window must be odd: it has a centre"


@pytest.mark.parametrize("key", ["cams.psa.train.steps", "affinity.boundary.train.steps", "segtrain.deeplab.steps"])
@pytest.mark.parametrize("value", [1, 200, "40 epochs", "1 epoch", "0.5 epochs"])
def test_lengths_of_trainings_are_updates_or_epochs(key, value):
    content = copy.deepcopy(CONTENT)
    _set(key, value)(content)
    assert _at(parse_params(content, "params.yaml").model_dump(mode="json"), key) == value


def test_a_background_of_an_unknown_cam_source_is_told():
    message = _mistake(_set("evaluate.cam_background", {"irnet": 0.1, "psa": 0.2, "pas": 0.2}))
    assert message == "evaluate.cam_background.pas: cams has no 'pas', known are irnet, psa"


def test_several_mistakes_are_told_at_once():
    def change(content):
        content["propagate"]["gcn-i"]["steps"] = 0
        del content["runtime"]["seed"]

    message = _mistake(change)
    assert "propagate.gcn-i.steps" in message
    assert "runtime.seed" in message


# ---------------------------------------------------------------- what concerns several sections


def test_devices_share_every_batch():
    assert _mistake(_set("runtime.devices", 10)) == (
        "runtime.devices: 10 devices cannot share cams.irnet.train.batch: 8, cams.psa.train.batch: 8, "
        "segtrain.deeplab.batch: 8"
    )


@pytest.mark.parametrize("key", ["affinity.boundary.train", "segtrain.deeplab"])
def test_weights_of_the_cams_are_those_of_the_same_backbone(key):
    said = "cams means that its backbone, resnet-50, starts as the CAM source's, but cams.irnet trains resnet-small"
    assert _mistake(_set(f"{key}.backbone", "resnet-50")) == f"{key}.weights: {said}: name a file or null"
    for values in ({"weights": None}, {"weights": "weights/resnet-50.pt"}, {"trained": "mine.pt"}):
        changed(PARAMS, {f"{key}.backbone": "resnet-50"} | {f"{key}.{name}": value for name, value in values.items()})


def test_every_variant_of_an_affinity_counts():
    def change(content):
        content["cams"]["large"] = copy.deepcopy(content["cams"]["psa"])
        content["cams"]["large"]["train"]["backbone"] = "resnet-38"
        content["variants"]["X"] = {"cams": "large", "affinity": "boundary", "after": "dataset/index.json"}

    assert _mistake(change).startswith("affinity.boundary.train.weights: cams means that its backbone, resnet-small, ")


def test_a_cam_source_without_a_network_starts_nothing(monkeypatch):
    monkeypatch.setattr(type(PARAMS.cams["irnet"]), "backbone", None)
    with pytest.raises(
        UsageError, match=r"affinity\.boundary\.train\.weights: .* cams\.irnet trains none: name a file"
    ):
        load_params(ROOT / "params.yaml")


def test_a_cam_source_cannot_start_as_itself():
    message = _mistake(_set("cams.psa.train.weights", "cams"))
    assert message == "cams.psa.train.weights: cams is for what starts as a CAM source: name a file or null"


def _with_rrm(content):
    """The page's demo: ``RRM`` learns from its own classifier, ``RRM-WSGCN`` from labels."""
    content.update(merged(content, on_the_demo(PAGES["rrm"])))


@pytest.mark.parametrize("weights", [None, "package:resnet-small.pt"])
def test_live_maps_of_a_new_classifier_are_refused(weights):
    def change(content):
        _with_rrm(content)
        content["segtrain"]["rrm"]["weights"] = weights

    message = _mistake(change)
    assert message.startswith("segtrain.rrm.weights: its labels are those of a classifier that was trained before: ")
    assert "say cams" in message
    assert message.endswith("or take labels: method")


def test_live_maps_need_a_cam_source_with_a_classifier():
    def change(content):
        _with_rrm(content)
        content["cams"]["again"] = {
            "kind": "segmenter", "train": {"backbone": "resnet-small"}, "infer": {"stride": 8, "scales": [1.0]}
        }  # fmt: skip
        content["variants"]["A"] = {"cams": "again", "affinity": "boundary", "after": "segtrain/PSA/checkpoint.pt"}
        content["methods"]["RRM"]["variant"] = "A"

    message = _mistake(change)
    assert message.startswith("segtrain.rrm.weights: its labels are those of a classifier that was trained before: ")
    assert "in methods.RRM it starts from cams, and cams.again is of kind segmenter" in message


def test_imported_networks_and_given_labels_need_no_classifier():
    content = copy.deepcopy(CONTENT)
    _with_rrm(content)
    content["segtrain"]["rrm"] |= {"weights": None, "trained": "mine.pt"}
    content["segtrain"]["rrm-labels"]["weights"] = None
    assert {"RRM", "RRM-WSGCN"} <= set(parse_params(content, "params.yaml").methods)


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("content", [None, [], "text", 3])
def test_content_that_is_no_mapping_is_one_line(content):
    with pytest.raises(UsageError, match=r"^params\.yaml: must have keys with values, not [^\n]+$"):
        parse_params(content, "params.yaml")


@pytest.mark.parametrize(
    "text",
    [
        *("a: [1, 2", "a: b: c", "\tx: 1", "x: !!python/object:os.system {}"),
        "[" * 100_000,
        "x: !!bool maybe",
        "x: !!int many",
        "x: !!float much",
        "x: !!timestamp 2024-13-45",
        "x: 2024-02-30",
        "x: " + "9" * 5000,
        "x: !!set {a, b: c}\n? [1]\n",
        "x: !!binary é",
    ],
)
def test_bad_yaml_is_one_line_that_names_the_file(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_params(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["0x" + "f" * 6000, "&a [*a]", "2024-01-01", "!!binary aGk=", ".nan", "1e999", "''"])
@pytest.mark.parametrize("key", ["seed", "store", "workers"])
def test_any_value_of_yaml_is_taken_or_refused_in_one_line(tmp_path, key, value):
    path = tmp_path / "params.yaml"
    content = copy.deepcopy(CONTENT)
    content["runtime"][key] = "HERE"
    path.write_text(yaml.safe_dump(content).replace("HERE", value))
    with contextlib.suppress(UsageError):
        load_params(path)


def test_file_that_is_no_text_is_one_line(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_bytes(b"\xff\xfe\x00x")
    with pytest.raises(UsageError, match="not YAML"):
        load_params(path)


def test_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(UsageError, match="wsgcn init"):
        load_params(tmp_path / "params.yaml")


def test_folder_in_the_place_of_the_file_is_one_line(tmp_path):
    with pytest.raises(UsageError, match=r"^[^\n]*cannot be read[^\n]*$"):
        load_params(tmp_path)


# ---------------------------------------------------------------- the records


@each_section
def test_every_section_is_frozen(path):
    section = SECTIONS[path]
    key = next(iter(type(section).model_fields))
    before = copy.deepcopy(getattr(section, key))
    with pytest.raises(ValidationError):
        setattr(section, key, 0)
    assert getattr(section, key) == before


def test_every_section_class_refuses_unknown_keys():
    classes, todo = [], [Section]
    while todo:
        todo += (found := todo.pop().__subclasses__())
        classes += found
    assert Params in classes
    assert all(one.model_config["frozen"] and one.model_config["extra"] == "forbid" for one in classes)


@pytest.mark.parametrize("name", ["I", "P"])
def test_variant_picks_its_own_entries(name):
    names, variant = PARAMS.variants[name], PARAMS.variant(name)
    assert variant.cams is PARAMS.cams[names.cams]
    assert variant.affinity is PARAMS.affinity[names.affinity]


def test_changed_changes_one_value_only():
    other = changed(PARAMS, {"propagate.gcn-i.steps": 7})
    assert other.propagate["gcn-i"].steps == 7
    assert changed(other, {"propagate.gcn-i.steps": PARAMS.propagate["gcn-i"].steps}) == PARAMS
