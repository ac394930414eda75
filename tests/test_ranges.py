"""Every number of ``params.yaml`` has a range, and what is beyond it is one line that names the key and the range."""

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from wsgcn.errors import UsageError
from wsgcn.params import Params, parse_params
from wsgcn.ranges import BelowOne, Deviation, Fraction, Seed
from wsgcn.vocabulary import PRESET_FOLDER

SAID = r"from \S+ to .*\d|at most \d+|must be \d.* or \d+|give gradient updates|give a number from 0 to 1"
PRESETS = ("demo", "voc12", "voc12-mobile")
CONTENTS = {name: yaml.safe_load((PRESET_FOLDER / f"{name}.yaml").read_text()) for name in PRESETS}


def _numbers_of_schema(schema: Any) -> Iterator[dict[str, Any]]:
    """Every description of a number in a JSON schema, but of one among a few."""
    if isinstance(schema, dict):
        if schema.get("type") in ("integer", "number") and "enum" not in schema:
            yield schema
        for part in schema.values():
            yield from _numbers_of_schema(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _numbers_of_schema(part)


def _numbers(content: Any, *path: Any) -> Iterator[tuple[Any, ...]]:
    """Places of all numbers of a ``params.yaml``."""
    if isinstance(content, dict | list):
        for key, part in content.items() if isinstance(content, dict) else enumerate(content):
            yield from _numbers(part, *path, key)
    elif isinstance(content, int | float) and not isinstance(content, bool):
        yield path


def test_every_number_of_every_kind_has_both_bounds():
    found = [*_numbers_of_schema(Params.model_json_schema())]
    assert len(found) > 100
    assert [one for one in found if "minimum" not in one or not {"maximum", "exclusiveMaximum"} & one.keys()] == []


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("value", [-1, 10**12])
def test_what_is_out_of_range_is_one_line_with_key_and_range(name, value):
    for path in _numbers(CONTENTS[name]):
        content = copy.deepcopy(CONTENTS[name])
        owner = content
        for part in path[:-1]:
            owner = owner[part]
        owner[path[-1]] = value
        with pytest.raises(UsageError) as caught:
            parse_params(content, "params.yaml")
        message, keys = str(caught.value), {".".join(map(str, path[:end])) for end in (len(path), len(path) - 1)}
        assert re.match(r"params\.yaml: (\S+): ", message)[1] in keys, path
        assert "\n" not in message
        assert re.search(SAID, message), message


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (Seed, 2**32, "must be from 0 to 4294967295"),
        (Fraction, 1.01, "must be from 0 to 1"),
        (BelowOne, 1, "must be from 0 to below 1"),
        (Deviation, 1e-6, "must be from 0.5 to 10000"),
    ],
)
def test_range_is_told(kind, value, said):
    with pytest.raises(ValidationError, match=re.escape(said)):
        TypeAdapter(kind).validate_python(value)


@pytest.mark.parametrize(
    ("kind", "value"), [(Seed, 0), (Seed, 2**32 - 1), (Fraction, 1.0), (BelowOne, 0), (Deviation, 0.5)]
)
def test_ends_are_in_range(kind, value):
    assert TypeAdapter(kind).validate_python(value) == value


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("crf.gcn.bilateral_srgb", 1e-6, "must be from 0.5 to 10000, not 1e-06"),
        ("crf.gcn.bilateral_sxy", 1e-30, "must be from 0.5 to 10000, not 1e-30"),
        ("crf.gcn.iterations", 99999999999, "must be from 0 to 100, not 99999999999"),
        ("cams.irnet.train.crop", 100_000, "must be from 32 to 4096, not 100000"),
        ("cams.irnet.train.batch", 10**7, "must be from 1 to 4096, not 10000000"),
        ("cams.irnet.train.steps", 10**8, "at most 10000000 gradient updates or 10000 epochs, not 100000000"),
        (
            "cams.irnet.train.steps",
            "99999 epochs",
            "at most 10000000 gradient updates or 10000 epochs, not '99999 epochs'",
        ),
        ("propagate.walk-i.log2_steps", 40, "must be from 0 to 12, not 40"),
        ("dataset.work_megapixels", 1000, "must be from 0.001 to 178, not 1000"),
    ],
)
def test_what_broke_a_stage_is_told_instead(key, value, said):
    """Native code aborted, NumPy's traceback was shown, the memory was full, or a walk had no end."""
    content = copy.deepcopy(CONTENTS["demo"])
    owner = content
    *path, last = key.split(".")
    for part in path:
        owner = owner[part]
    owner[last] = value
    with pytest.raises(UsageError) as caught:
        parse_params(content, "params.yaml")
    assert str(caught.value) == f"params.yaml: {key}: {said}"
