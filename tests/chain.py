"""Every stage by its name in ``dvc.yaml``, run in this process; and ``dvc.yaml`` with its templates filled in."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import ROOT
from wsgcn.store.paths import Artifacts
from wsgcn.vocabulary import METHODS, VARIANTS

UP_TO_CRF = ("dataset", "cams-train", "cams", "affinity-train", "affinity", "propagate", "crf")
TEMPLATE = re.compile(r"\$\{([^}]+)\}")


def silent(metrics, step):
    """Takes live curves and forgets them."""


# ---------------------------------------------------------------- running


def room(stage: str) -> str:
    """The package of a stage of dvc.yaml."""
    return stage.removesuffix("-train")


def names_of(stage: str) -> tuple[str | None, ...]:
    """The variants or methods that a stage runs for."""
    if stage in ("dataset", "report"):
        return (None,)
    return VARIANTS if room(stage) in ("cams", "affinity") else tuple(METHODS)


def run_stage(stage: str, name: str | None, params: Any, artifacts: Artifacts) -> Any:
    """Run one stage for one variant or method as the command line does."""
    module = import_module(f"wsgcn.{room(stage)}.stage")
    if stage in ("dataset", "report"):
        return module.run(params, artifacts)
    if room(stage) in ("cams", "affinity"):
        return (module.train if stage.endswith("-train") else module.infer)(params, artifacts, name)
    live = [silent] if stage in ("propagate", "segtrain") else []
    return module.run(params, artifacts, METHODS[name], *live)


def run_stages(stages, params: Any, artifacts: Artifacts, method: str | None = None) -> None:
    """Run stages in order, for every variant and method, or for one method and its variant."""
    for stage in stages:
        for name in names_of(stage):
            if method is None or name in (None, method, METHODS[method].variant):
                run_stage(stage, name, params, artifacts)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def times(folder: Path) -> dict[str, int]:
    """When each file of a folder was written."""
    return {path.name: path.stat().st_mtime_ns for path in sorted(folder.iterdir())}


# ---------------------------------------------------------------- dvc.yaml


@dataclass(frozen=True)
class Entry:
    """One member of a matrix or foreach stage; ``name`` is its variant or method, None for a plain stage."""

    stage: str
    name: str | None
    cmd: str
    deps: tuple[str, ...]
    params: tuple[str, ...]
    outs: tuple[str, ...]


def entries(pipeline: Path = ROOT / "dvc.yaml", params: Path = ROOT / "params.yaml") -> list[Entry]:
    """Every stage of a dvc.yaml once for each variant or method."""
    content, known = yaml.safe_load(pipeline.read_text()), yaml.safe_load(params.read_text())
    for one in content["vars"]:
        known |= one
    return [entry for stage, body in content["stages"].items() for entry in _members(stage, body, known)]


def _members(stage: str, body: dict[str, Any], known: dict[str, Any]) -> Iterator[Entry]:
    if "foreach" in body:
        items = _lookup(TEMPLATE.fullmatch(body["foreach"])[1], known)
        for key, item in items.items():
            yield _entry(stage, key, body["do"], known | {"key": key, "item": item})
    elif "matrix" in body:
        ((axis, values),) = body["matrix"].items()
        for value in values:
            yield _entry(stage, value, body, known | {"item": {axis: value}})
    else:
        yield _entry(stage, None, body, known)


def _entry(stage: str, name: str | None, body: dict[str, Any], known: dict[str, Any]) -> Entry:
    def filled(text: str) -> str:
        return TEMPLATE.sub(lambda found: str(_lookup(found[1], known)), text)

    def listed(key: str) -> tuple[str, ...]:
        return tuple(filled(next(iter(one)) if isinstance(one, dict) else one) for one in body.get(key, []))

    return Entry(stage, name, filled(body["cmd"]), listed("deps"), listed("params"), listed("outs"))


def _lookup(path: str, known: dict[str, Any]) -> Any:
    for part in path.split("."):
        known = known[part]
    return known


# ---------------------------------------------------------------- parameters


def shrunk(content: dict[str, Any], devkit: Path | str) -> dict[str, Any]:
    """The content of the real ``params.yaml`` with a demo of few pictures, and epochs and steps to match."""
    content = copy.deepcopy(content)
    content["runtime"] |= {"device": "cpu", "workers": 1}
    demo = {"train_images": 8, "val_images": 4, "height": 48, "width": 64}
    content["dataset"] |= {"root": str(devkit), "demo": content["dataset"]["demo"] | demo}
    for net in (content[room][variant] for room in ("cams", "affinity") for variant in VARIANTS):
        net["train"] |= {"epochs": 1, "batch": 4, "crop": 32}
    content["cams"]["infer"]["scales"] = [1.0]
    content["propagate"] |= {"steps": 4, "feature_steps": 4}
    content["segtrain"] |= {"iterations": 2, "batch": 2, "crop": 32, "aspp_dilations": [1, 2]}
    content["evaluate"]["panels"] = 1
    for crf in _crfs(content):
        crf["iterations"] = 2
    return content


def _crfs(content: Any) -> Iterator[dict[str, Any]]:
    """Every group of numbers of a dense CRF."""
    if isinstance(content, dict):
        if "bilateral_srgb" in content:
            yield content
        for value in content.values():
            yield from _crfs(value)
