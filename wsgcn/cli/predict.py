"""Command ``predict``: masks of new photographs."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from wsgcn.cli.common import PARAMS_FILE, say
from wsgcn.cli.networks import ModelOption, NetworkOption, find_model
from wsgcn.errors import UsageError

app = typer.Typer()


@app.command()
def predict(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Photographs, or folders of them.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for labels, overlays and the list of classes.")],
    method: NetworkOption = None,
    model: ModelOption = None,
    crf: Annotated[bool, typer.Option(" /--no-crf", help="Leave out the CRF: faster, rougher outlines.")] = True,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Write the probabilities of all classes too, as .npz.")
    ] = False,
) -> None:
    """Label new photographs with a trained network; what is labelled already is left alone.

    Example: wsgcn predict holiday/ --out holiday-masks --method WSGCN-I
    """
    from wsgcn.params import load_params

    params = load_params(PARAMS_FILE) if PARAMS_FILE.exists() else None
    if params and out.resolve() == Path(params.evaluate.masks).resolve():
        raise UsageError(f"{out} is the folder of ground truth (evaluate.masks): name another folder with --out")
    with tempfile.TemporaryDirectory() as folder:
        from wsgcn.predict import predict_photographs

        found = find_model(params, method, model, crf, Path(folder))
        device, workers = (params.runtime.device, params.runtime.workers) if params else ("auto", 0)
        count = predict_photographs(found, photos, out, device, workers, probabilities)
    things = "1 photograph is" if count == 1 else f"{count} photographs are"
    say(f"{things} labelled: class ids in {out / 'labels'}, their names in {out / 'classes.csv'}")
    say(f"Pictures to look at: {out / 'overlays'}")
