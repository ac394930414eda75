"""What the commands share that use a trained segmentation network: their options, and the network that these name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsgcn.cli.common import PARAMS_FILE, only_method
from wsgcn.errors import UsageError

if TYPE_CHECKING:
    from wsgcn.params import Params
    from wsgcn.predict import Model

NetworkOption = Annotated[
    str | None,
    typer.Option("--method", metavar="NAME", help="Whose network; not needed where the project has one alone."),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="MODEL",
        help="Instead of --method: a checkpoint, or MLflow's runs:/<run>/model or models:/<name>/1.",
    ),
]


def find_model(params: Params | None, method: str | None, model: str | None, crf: bool, folder: Path) -> Model:
    """The network that the options name.

    Args:
        params: of the project in this folder; None = there is none.
        method: value of ``--method``.
        model: value of ``--model``.
        crf: labels are those after the CRF.
        folder: for a copy of what MLflow keeps.

    Raises:
        UsageError: they name none or two, or one that needs a project outside of any.
        DataError: MLflow has no such model.
    """
    from wsgcn.predict import model_of
    from wsgcn.tracking.models import ADDRESSES, fetch_model

    if method is not None and model is not None:
        raise UsageError("--method and --model are two networks: give one of them")
    if model is not None and model.startswith(ADDRESSES):
        checkpoint, settings = fetch_model(model, params.tracking.uri if params else None, folder)
        return model_of(checkpoint, settings["classes"], settings, crf)
    if params is None:
        raise UsageError(f"there is no {PARAMS_FILE} here: go into the project's folder, or give --model runs:/…")
    checkpoint = Path(model) if model is not None else _checkpoint(params, method)
    return model_of(checkpoint, params.dataset.classes, params.segmentation, crf)


def _checkpoint(params: Params, method: str | None) -> Path:
    """The network of a method, or the only one that there is."""
    from wsgcn.store.paths import Artifacts

    def network(name: str) -> Path:
        return Artifacts().checkpoint("segtrain", name)

    if method is not None:
        return network(params.method(method).name)
    return network(only_method(params, lambda name: network(name).is_file(), "network", "segtrain").name)
