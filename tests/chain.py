"""Every stage by its name in ``dvc.yaml``, run in this process; ``dvc.yaml`` filled in; parameters made small."""

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
from wsgcn.params import Params, load_params
from wsgcn.stages import STAGES
from wsgcn.store.paths import Artifacts

UP_TO_CRF = ("dataset", "cams-train", "cams", "affinity-train", "affinity", "propagate", "crf")
TEMPLATE = re.compile(r"\$\{([^}]+)\}")
FUNCTIONS = {
    "dataset": "write_index",
    "cams-train": "train_cam_source",
    "cams": "write_cams",
    "affinity-train": "train_affinity_network",
    "affinity": "write_affinity",
    "propagate": "write_scores",
    "crf": "write_pseudo_labels",
    "evaluate-labels": "evaluate_labels",
    "segtrain": "train_segmentation",
    "evaluate": "evaluate_network",
    "report": "write_report",
}
"""What each stage's module calls its function."""


def silent(*values):
    """Takes live curves, or warnings, and forgets them."""


# ---------------------------------------------------------------- running


def names_of(stage: str, params: Any) -> tuple[str | None, ...]:
    """The variants or methods that a stage runs for."""
    return {"all": (None,), "variant": tuple(params.variants), "method": tuple(params.methods)}[STAGES[stage].runs_for]


def run_stage(stage: str, name: str | None, params: Any, artifacts: Artifacts, *rest: Any) -> Any:
    """Run one stage for one variant or method as the command line does, with what else it is to be given."""
    function = getattr(import_module(STAGES[stage].module), FUNCTIONS[stage])
    chosen = {"all": lambda: [], "variant": lambda: [params.variant(name)], "method": lambda: [params.method(name)]}
    more = [silent] if stage in ("propagate", "segtrain", "evaluate-labels", "evaluate") else []
    return function(params, artifacts, *chosen[STAGES[stage].runs_for](), *more, *rest)


def run_stages(stages, params: Any, artifacts: Artifacts, method: str | None = None) -> None:
    """Run stages in order, for every variant and method, or for one method and its variant."""
    for stage in stages:
        for name in names_of(stage, params):
            if method is None or name in (None, method, params.methods[method].variant):
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
    """One member of a foreach stage; ``name`` is its variant or method, None for a plain stage."""

    stage: str
    name: str | None
    cmd: str
    deps: tuple[str, ...]
    params: tuple[str, ...]
    outs: tuple[str, ...]


def entries(pipeline: Path = ROOT / "dvc.yaml", params: Path = ROOT / "params.yaml") -> list[Entry]:
    """Every stage of a dvc.yaml once for each variant or method."""
    content, known = yaml.safe_load(pipeline.read_text()), yaml.safe_load(params.read_text())
    return [entry for stage, body in content["stages"].items() for entry in _members(stage, body, known)]


def _members(stage: str, body: dict[str, Any], known: dict[str, Any]) -> Iterator[Entry]:
    if "foreach" in body:
        items = _lookup(TEMPLATE.fullmatch(body["foreach"])[1], known)
        for key, item in items.items():
            yield _entry(stage, key, body["do"], known | {"key": key, "item": item})
    else:
        yield _entry(stage, None, body, known)


def _entry(stage: str, name: str | None, body: dict[str, Any], known: dict[str, Any]) -> Entry:
    def filled(text: str) -> str:
        return TEMPLATE.sub(lambda found: str(_lookup(found[1], known)), text)

    def listed(*keys: str) -> tuple[str, ...]:
        given = [one for key in keys for one in body.get(key, [])]
        return tuple(filled(next(iter(one)) if isinstance(one, dict) else one) for one in given)

    return Entry(stage, name, filled(body["cmd"]), listed("deps"), listed("params"), listed("outs", "metrics", "plots"))


def _lookup(path: str, known: dict[str, Any]) -> Any:
    for part in path.split("."):
        known = known[part]
    return known


# ---------------------------------------------------------------- parameters


def shrunk(content: dict[str, Any], store: Path | str = ".wsgcn") -> dict[str, Any]:
    """The content of a ``params.yaml`` with a demo of few pictures, and lengths of trainings to match.

    The one shrinker of the tests: the repository's parameters in seconds, on one core of a CPU.
    """
    content = copy.deepcopy(content)
    # One precision on every processor, exact enough that two ways of computing can be compared.
    content["runtime"] |= {"device": "cpu", "precision": "32-true", "workers": 1, "store": str(store)}
    if content["dataset"]["kind"] == "demo":
        content["dataset"] |= {"train_images": 8, "val_images": 4, "height": 48, "width": 64}
    for entry in (*content["cams"].values(), *content["affinity"].values()):
        if "steps" in (entry["train"] or {}):
            entry["train"] |= {"steps": "1 epochs", "batch": 4, "crop": 32, "warmup_steps": 0}
            if "freeze_norm" in entry["train"]:
                entry["train"]["freeze_norm"] = "none"  # many tests start from new weights
    for entry in content["cams"].values():
        if entry["kind"] == "sub-category":
            entry["train"]["rounds"] = ["1 epochs"] * len(entry["train"]["rounds"])  # none is longer than steps
        if "scales" in entry["infer"]:
            entry["infer"]["scales"] = [1.0]
    for entry in content["propagate"].values():
        if entry["kind"] == "gcn":
            entry |= {"steps": 4, "feature_steps": 4}
    for entry in content["segtrain"].values():
        entry |= {
            "steps": 2,
            "batch": 2,
            "crop": 32,
            "aspp_dilations": [1, 2],
            "warmup_steps": 0,
            "freeze_norm": "none",
        }
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


def write_params(folder: Path, content: dict[str, Any]) -> Params:
    """Put a params.yaml into a project, and read it."""
    (folder / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return load_params(folder / "params.yaml")
