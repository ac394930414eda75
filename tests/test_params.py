"""``params.yaml``: every mistake is one line that names the key."""

import copy

import pytest
from pydantic import ValidationError

from tests.conftest import ROOT, changed, real_content
from wsgcn.errors import UsageError
from wsgcn.params import Params, Section, load_params, parse_params


def _mistake(change) -> str:
    content = real_content()
    change(content)
    with pytest.raises(UsageError) as caught:
        parse_params(content, "params.yaml")
    return str(caught.value)


def _sections(section: Section, path: str = "") -> list[tuple[str, Section]]:
    found = [(path, section)]
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Section):
            found += _sections(value, f"{path}.{name}".strip("."))
    return found


def _section_paths() -> list[str]:
    return [path for path, _ in _sections(load_params(ROOT / "params.yaml"))]


def _at(content: dict, path: str) -> dict:
    for part in path.split(".") if path else []:
        content = content[part]
    return content


def test_real_file_is_read_and_says_what_it_says():
    params = load_params(ROOT / "params.yaml")
    assert params.propagate.steps == 250
    assert params.propagate.colour_variance == 6
    assert params.model_dump(mode="json").keys() == real_content().keys()


@pytest.mark.parametrize("path", _section_paths())
def test_unknown_key_is_named_with_the_known_ones(path):
    known = list(_at(real_content(), path))
    message = _mistake(lambda content: _at(content, path).update(bogus=1))
    assert "\n" not in message
    assert repr(f"{path}.bogus".strip(".")) in message
    assert all(key in message for key in known)
    assert message.startswith("params.yaml")


@pytest.mark.parametrize("path", _section_paths())
def test_missing_key_is_named_with_the_known_ones(path):
    key, *others = _at(real_content(), path)
    message = _mistake(lambda content: _at(content, path).pop(key))
    assert "\n" not in message
    assert repr(f"{path}.{key}".strip(".")) in message
    assert "missing" in message
    assert all(other in message for other in others)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("runtime.seed", "many"),
        ("runtime.seed", -1),
        ("runtime.workers", 1.5),
        ("runtime.device", 3),
        ("dataset.classes", "background"),
        ("dataset.classes", ["background"]),
        ("dataset.classes", ["background", "cat", "cat"]),
        ("dataset.demo", 5),
        ("cams.I.backbone", "resnet-7"),
        ("cams.P.grid_stride", 3),
        ("cams.I.train.scale", [1.0]),
        ("cams.I.train.scale", None),
        ("cams.P.train.long_side", [256, 512]),
        ("affinity.P.train.jitter", {"hue": 0.6}),
        ("cams.infer.scales", []),
        ("affinity.I.radius", 1),
        ("affinity.P.seeds.alphas", [4, 0]),
        ("propagate.objective", "mine"),
        ("propagate.normalisation", True),
        ("propagate.dropout", 1.0),
        ("propagate.lr", float("nan")),
        ("propagate.lr", float("inf")),
        ("propagate.window", 4),
        ("propagate.partial_labels.min_prob", 1.1),
        ("propagate.random_walk.I.alpha", 16),
        ("propagate.random_walk.P.alpha", None),
        ("crf.gcn.iterations", -1),
        ("segtrain", None),
        ("evaluate.panels", None),
    ],
)
def test_bad_value_is_one_line_that_names_its_key(key, value):
    *path, last = key.split(".")
    message = _mistake(lambda content: _at(content, ".".join(path)).update({last: value}))
    assert "\n" not in message
    owner = ".".join(path)
    assert key in message or f"{owner}:" in message


def test_several_mistakes_are_told_at_once():
    def change(content):
        content["propagate"]["steps"] = 0
        del content["runtime"]["seed"]

    message = _mistake(change)
    assert "propagate.steps" in message
    assert "runtime.seed" in message


@pytest.mark.parametrize("content", [None, [], "text", 3])
def test_content_that_is_no_mapping_is_one_line(content):
    with pytest.raises(UsageError, match=r"^params\.yaml: [^\n]+$"):
        parse_params(content, "params.yaml")


@pytest.mark.parametrize("text", ["a: [1, 2", "a: b: c", "\tx: 1", "x: !!python/object:os.system {}"])
def test_bad_yaml_is_one_line_that_names_the_file(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_params(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


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


@pytest.mark.parametrize("path", _section_paths())
def test_every_section_is_frozen(path):
    section = dict(_sections(load_params(ROOT / "params.yaml")))[path]
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


@pytest.mark.parametrize("variant", ["I", "P"])
def test_variant_picks_its_own_section(variant):
    params = load_params(ROOT / "params.yaml")
    assert params.cams.net(variant) is getattr(params.cams, variant)
    assert params.propagate.random_walk.walk(variant) is getattr(params.propagate.random_walk, variant)


def test_changed_changes_one_value_only():
    params = load_params(ROOT / "params.yaml")
    other = changed(params, {"propagate.steps": 7})
    assert other.propagate.steps == 7
    assert changed(other, {"propagate.steps": params.propagate.steps}) == params
