"""What is wrong with a ``params.yaml``, in one plain sentence for each of pydantic's problems."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Sequence
from typing import Any

from wsgcn.ranges import RANGE
from wsgcn.sections import KEYS

_KIND_AT = {"dataset": 1, "cams": 2, "affinity": 2, "propagate": 2, "crf": 2, "segtrain": 2}
"""Where pydantic puts the kind into the place of a problem, by section."""

_MUST = {
    "model_type": "have keys with values",
    "dict_type": "have keys with values",
    "model_attributes_type": "have keys with values",
    "tuple_type": "be a list",
    "too_short": "have more entries",
    "too_long": "have fewer entries",
    "missing": "have more entries",
    "string_type": "be text",
    "bool_type": "be true or false",
    "bool_parsing": "be true or false",
    "int_type": "be a whole number",
    "int_parsing": "be a whole number",
    "int_from_float": "be a whole number",
    "float_type": "be a number",
    "float_parsing": "be a number",
}
"""What a value must do, by pydantic's word for the problem; of the others its own sentence is plain."""


def explain_all(problems: Iterable[Any]) -> str:
    """Every one of pydantic's problems, in one line."""
    return " ".join("; ".join(_explain(one) for one in problems if not _follows(one)).split())


def _follows(problem: Any) -> bool:
    """Whether a list is said to be too short because its entries are wrong, of which each is told by itself."""
    return problem["type"] == "too_short" and len(problem["input"]) >= problem["ctx"]["min_length"]


def _explain(problem: Any) -> str:
    """One of pydantic's problems: the dotted key, what it must be, and what was given or is known."""
    kind, given, context = problem["type"], problem["input"], problem.get("ctx", {})
    # Only in a list is anything "missing": of keys the section itself complains.
    where = _place(problem["loc"][:-1] if kind == "missing" else problem["loc"])
    if kind == KEYS:
        unknown, missing = (
            [repr(f"{where}.{key}".strip(".")) for key in context[one]] for one in ("unknown", "missing")
        )
        found = [f"unknown key {one}" for one in unknown] + [f"key {one} is missing" for one in missing]
        return f"{', '.join(found)}, known here are {', '.join(context['known'])}"
    if kind == "unknown_kind":
        key = f"{where}.kind"
        said = f"{key}: no kind is called {given['kind']!r}" if "kind" in given else f"key {key!r} is missing"
        return f"{said}, known are {context['known']}"
    if kind == "value_error":
        return f"{where}: {context['error']}".removeprefix(": ")
    if kind == RANGE:
        return f"{where}: must be {context['range']}, not {_shown(given)}"
    must = f"must {_MUST[kind]}" if kind in _MUST else problem["msg"].replace("Input should", "must")
    return f"{where}: {must}, not {_shown(given)}".removeprefix(": ")


def _shown(given: object) -> str:
    try:
        return reprlib.repr(given)
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "a number of thousands of digits"


def _place(location: Sequence[Any]) -> str:
    """The dotted key as the file has it: without the kind, and without what pydantic puts behind a bad name."""
    kinds = {_KIND_AT.get(location[0]) if location else None}
    kinds |= {at + 1 for at, part in enumerate(location) if part == "optimiser"}
    return ".".join(str(part) for at, part in enumerate(location) if at not in kinds and part != "[key]")
