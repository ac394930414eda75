"""The parameters of a method's MLflow run: those that decide its result, flat, by dotted name. Needs no MLflow."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsgcn.methods import Method
    from wsgcn.params import Params

MAX_NAME, MAX_VALUE = 250, 6000
"""MLflow's own limits: characters of a name and of a parameter's value."""

WITHOUT_INFLUENCE = ("device", "workers", "engine", "address", "store", "store_gb")
"""Parameters of ``runtime`` that change no result."""

COMPARED = ("variants", "methods")
"""Sections that name what is compared; a run has the names of its own method instead."""


def flat_params(params: Params, method: Method) -> dict[str, str]:
    """The parameters that decide a method's result, as MLflow keeps them.

    Of ``cams``, ``affinity``, ``propagate``, ``crf`` and ``segtrain`` only the entries that the method uses are
    there, and those that the rounds before it used, so that another method or entry makes no new run of this one.

    Args:
        params: the whole of ``params.yaml``.
        method: one of its methods.

    Returns:
        Values by dotted name, such as ``propagate.gcn-i.lr``, and the names of what the method is made of, such as
        ``method.propagation``; numbers, lists and null are JSON.
    """
    content = params.model_dump(mode="json", exclude={"tracking": True})
    content["runtime"] = {name: value for name, value in content["runtime"].items() if name not in WITHOUT_INFLUENCE}
    entries = _entries(method)
    for section in entries:
        used = [_entries(one)[section] for one in (*params.earlier(method), method)]
        content[section] = {entry: content[section][entry] for entry in dict.fromkeys(used)}
    content["evaluate"]["cam_background"] = params.evaluate.background_of(method.variant.cams_name)
    content = {name: value for name, value in content.items() if name not in COMPARED}
    content["method"] = {"variant": method.variant.name, "after": method.variant.after, **_renamed(entries)}
    return {
        param_name(name): (value if isinstance(value, str) else json.dumps(value))[:MAX_VALUE]
        for name, value in flatten(content, ".")
    }


def param_name(name: str) -> str:
    """A dotted name as MLflow takes it: without the + that an entry's name may hold, and not too long."""
    return re.sub(r"[^\w. /-]", "_", name)[:MAX_NAME]


def without(flat: Mapping[str, str], beginnings: Sequence[str]) -> dict[str, str]:
    """The parameters whose names, as MLflow has them, begin with none of these."""
    left_out = tuple(map(param_name, beginnings))
    return {name: value for name, value in flat.items() if not name.startswith(left_out)}


def _entries(method: Method) -> dict[str, str]:
    """Name of the method's entry by section of ``params.yaml``."""
    return {
        "cams": method.variant.cams_name,
        "affinity": method.variant.affinity_name,
        "propagate": method.propagation_name,
        "crf": method.crf_name,
        "segtrain": method.segtrain_name,
    }


def _renamed(entries: Mapping[str, str]) -> dict[str, str]:
    """The same by the words of section ``methods``, where the entry of ``propagate`` is called the propagation."""
    return {"propagation" if section == "propagate" else section: entry for section, entry in entries.items()}


def flatten(content: Mapping[str, Any], separator: str) -> Iterator[tuple[str, Any]]:
    """The values of nested mappings by the path of their keys, joined with the separator."""
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}{separator}{below}", one) for below, one in flatten(value, separator))
        else:
            yield name, value
