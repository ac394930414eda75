"""Command ``predict``: masks of new photographs."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsgcn.cli.common import PARAMS_FILE, only_method, say
from wsgcn.errors import UsageError

if TYPE_CHECKING:
    from wsgcn.params import Params
    from wsgcn.predict import Model

app = typer.Typer()


@app.command()
def predict(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Photographs, or folders of them.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for labels, overlays and the list of classes.")],
    method: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose network; not needed where the project has one alone.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Instead of --method: a checkpoint, or MLflow's runs:/<run>/model or models:/<name>/1.",
        ),
    ] = None,
    crf: Annotated[bool, typer.Option(" /--no-crf", help="Leave out the CRF: faster, rougher outlines.")] = True,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Write the probabilities of all classes too, as .npz.")
    ] = False,
) -> None:
    """Label new photographs with a trained network; what is labelled already is left alone.

    Example: wsgcn predict holiday/ --out holiday-masks --method WSGCN-I
    """
    from wsgcn.params import load_params

    if method is not None and model is not None:
        raise UsageError("--method and --model are two networks: give one of them")
    params = load_params(PARAMS_FILE) if PARAMS_FILE.exists() else None
    if params and out.resolve() == Path(params.evaluate.masks).resolve():
        raise UsageError(f"{out} is the folder of ground truth (evaluate.masks): name another folder with --out")
    with tempfile.TemporaryDirectory() as folder:
        from wsgcn.predict import predict_photographs

        found = _model(params, method, model, crf, Path(folder))
        device, workers = (params.runtime.device, params.runtime.workers) if params else ("auto", 0)
        count = predict_photographs(found, photos, out, device, workers, probabilities)
    things = "1 photograph is" if count == 1 else f"{count} photographs are"
    say(f"{things} labelled: class ids in {out / 'labels'}, their names in {out / 'classes.csv'}")
    say(f"Pictures to look at: {out / 'overlays'}")


def _model(params: Params | None, method: str | None, model: str | None, crf: bool, folder: Path) -> Model:
    """The network that the options name.

    Raises:
        UsageError: they name none, or one that needs a project outside of any.
    """
    from wsgcn.predict import model_of
    from wsgcn.tracking.models import ADDRESSES, fetch_model

    if model is not None and model.startswith(ADDRESSES):
        checkpoint, settings = fetch_model(model, params.tracking.uri if params else None, folder)
        return model_of(checkpoint, settings["classes"], settings, crf)
    if params is None:
        raise UsageError(f"there is no {PARAMS_FILE} here: go into the project's folder, or give --model runs:/…")
    checkpoint = Path(model) if model is not None else _checkpoint(params, method)
    return model_of(checkpoint, params.dataset.classes, params.evaluate.segmentation, crf)


def _checkpoint(params: Params, method: str | None) -> Path:
    """The network of a method, or the only one that there is."""
    from wsgcn.store.paths import Artifacts

    def network(name: str) -> Path:
        return Artifacts().checkpoint("segtrain", name)

    if method is not None:
        return network(params.method(method).name)
    return network(only_method(params, lambda name: network(name).is_file(), "network", "segtrain").name)
