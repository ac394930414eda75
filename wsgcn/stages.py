"""The stages of the pipeline, in order, and the code that each is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from wsgcn.sections import backbone_module
from wsgcn.store.code import code_version, module_versions
from wsgcn.store.files import remove_others, write_text

if TYPE_CHECKING:
    from wsgcn.params import Params
    from wsgcn.store.paths import Artifacts


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        module: dotted name of the module that runs it.
        runs_for: it runs once, or once for each variant or method.
    """

    module: str
    runs_for: Literal["all", "variant", "method"]


STAGES = {
    "dataset": Stage("wsgcn.dataset.stage", "all"),
    "cams-train": Stage("wsgcn.cams.stage", "variant"),
    "cams": Stage("wsgcn.cams.stage", "variant"),
    "affinity-train": Stage("wsgcn.affinity.stage", "variant"),
    "affinity": Stage("wsgcn.affinity.stage", "variant"),
    "propagate": Stage("wsgcn.propagate.stage", "method"),
    "crf": Stage("wsgcn.crf.stage", "method"),
    "evaluate-labels": Stage("wsgcn.evaluate.labels_stage", "method"),
    "segtrain": Stage("wsgcn.segtrain.stage", "method"),
    "evaluate": Stage("wsgcn.evaluate.network_stage", "method"),
    "report": Stage("wsgcn.report.stage", "all"),
}
"""Every stage by the word that is also its command, its stage of DVC and its folder."""


def stage_code(params: Params, stage: str, name: str | None = None) -> str:
    """Digest of the code that makes what a stage makes for a variant or method, by its fingerprints and for DVC."""
    return code_version(*_modules(params, stage, name))


def write_code(params: Params, artifacts: Artifacts) -> None:
    """Write ``code/<stage>/<name>.txt`` for DVC: what each stage depends on, wherever the package is installed."""
    folder = artifacts.root / "code"
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        folder / stage / f"{name or stage}.txt": _modules(params, stage, name)
        for stage, one in STAGES.items()
        for name in _names(params, one)
    }
    for path, modules in files.items():
        lines = [f"{version} {module}\n" for module, version in sorted(module_versions(*modules).items())]
        write_text(path, f"{code_version(*modules)}\n{''.join(lines)}")
    for stage in STAGES:
        remove_others(folder / stage, [path.name for path in files])


def _names(params: Params, stage: Stage) -> list[str | None]:
    if stage.runs_for == "all":
        return [None]
    return [*(params.variants if stage.runs_for == "variant" else params.methods)]


def _modules(params: Params, stage: str, name: str | None) -> tuple[str, ...]:
    """The module of the stage, and of the kind and the backbone that it uses for this variant or method."""
    return (STAGES[stage].module, *_chosen_modules(params, stage, name or ""))


def _chosen_modules(params: Params, stage: str, name: str) -> tuple[str, ...]:
    if stage == "dataset":
        return params.dataset.modules()
    if stage in ("cams-train", "cams"):
        return params.variant(name).cams.modules()
    if stage in ("affinity-train", "affinity"):
        return params.variant(name).affinity.modules()
    if stage == "propagate":
        return params.method(name).propagation.modules()
    if stage == "crf":
        return params.method(name).crf.modules()
    if stage in ("segtrain", "evaluate"):
        return (backbone_module(params.segtrain.backbone),)
    return ()
