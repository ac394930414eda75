"""The stages of the pipeline, in order, and the code that each is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from wsgcn.sections import backbone_module
from wsgcn.store.code import code_version, module_versions
from wsgcn.store.files import remove_others, write_text
from wsgcn.store.fingerprints import tree_digest
from wsgcn.store.paths import in_project

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


class MadeOf(NamedTuple):
    """What a stage depends on beside its inputs and parameters: modules, and files outside of the pipeline."""

    modules: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


def stage_code(params: Params, stage: str, name: str | None = None) -> str:
    """Digest of the code that makes what a stage makes for a variant or method, by its fingerprints and for DVC."""
    return code_version(STAGES[stage].module, *_chosen(params, stage, name or "").modules)


def write_code(params: Params, artifacts: Artifacts) -> None:
    """Write ``code/<stage>/<name>.txt`` for DVC: what each stage depends on that DVC cannot see by itself.

    That is the code, wherever the package is installed, and the content of weight files and others that a kind names.
    What evaluation made of methods that are no longer in ``params.yaml`` goes: the report depends on these folders as a
    whole. DVC's cache has it still.
    """
    folder = artifacts.root / "code"
    folder.mkdir(parents=True, exist_ok=True)
    for stage, one in STAGES.items():
        names = _names(params, one)
        for name in names:
            write_text(folder / stage / f"{name or stage}.txt", _described(params, stage, name))
        remove_others(folder / stage, [f"{name or stage}.txt" for name in names])
    for stage in ("evaluate-labels", "evaluate"):
        remove_others(artifacts.root / stage, params.methods)
    remove_others(artifacts.losses("").parent, [artifacts.losses(name).name for name in params.methods])


def _described(params: Params, stage: str, name: str | None) -> str:
    """The digest of the code, and below it what it is made of."""
    chosen = _chosen(params, stage, name or "")
    modules = (STAGES[stage].module, *chosen.modules)
    lines = [f"{version} {module}" for module, version in sorted(module_versions(*modules).items())]
    lines += [f"{tree_digest(in_project(file))} {file}" for file in chosen.files]
    return "\n".join([code_version(*modules), *lines, ""])


def _names(params: Params, stage: Stage) -> list[str | None]:
    if stage.runs_for == "all":
        return [None]
    return [*(params.variants if stage.runs_for == "variant" else params.methods)]


def _chosen(params: Params, stage: str, name: str) -> MadeOf:
    """What the kind and the backbone bring that a stage uses for a variant or method."""
    if stage == "dataset":
        return MadeOf(params.dataset.modules(), params.dataset.files())
    if stage in ("cams-train", "cams"):
        return MadeOf(params.variant(name).cams.modules(), params.variant(name).cams.files())
    if stage in ("affinity-train", "affinity"):
        return MadeOf(params.variant(name).affinity.modules(), params.variant(name).affinity.files())
    if stage in ("propagate", "evaluate-labels"):
        return MadeOf(params.method(name).propagation.modules(), params.method(name).propagation.files())
    if stage == "crf":
        return MadeOf(params.method(name).crf.modules(), params.method(name).crf.files())
    if stage == "segtrain":
        method = params.method(name)
        start = method.variant.cams.start_modules() if method.segtrain.weights == "cams" else ()
        return MadeOf((*method.segtrain.modules(), *start), method.segtrain.files())
    if stage == "evaluate":
        return MadeOf((backbone_module(params.method(name).segtrain.backbone),))
    return MadeOf()
