"""Command ``export-model``: a trained network for other programs."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from wsgcn.cli.common import PARAMS_FILE, say
from wsgcn.cli.networks import ModelOption, NetworkOption, find_model

app = typer.Typer()


@app.command("export-model")
def export_model(
    file: Annotated[Path, typer.Argument(metavar="FILE.onnx", dir_okay=False, help="ONNX file to write.")],
    method: NetworkOption = None,
    model: ModelOption = None,
) -> None:
    """Write a trained network as ONNX: a uint8 photograph in, class probabilities at its size out; no CRF.

    Example: wsgcn export-model pets.onnx --method WSGCN-I
    """
    from wsgcn.params import load_params

    params = load_params(PARAMS_FILE) if PARAMS_FILE.exists() else None
    with tempfile.TemporaryDirectory() as folder:
        from wsgcn.export_model import export_onnx

        found = find_model(params, method, model, crf=False, folder=Path(folder))
        export_onnx(found, file)
    say(f"{file} labels photographs in {len(found.class_names)} classes, as `wsgcn predict --no-crf` does")
