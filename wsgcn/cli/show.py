"""Command ``show``: one photograph's way through a method."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from wsgcn.cli.common import MethodOption, project, say
from wsgcn.runtime.progress import is_quiet

app = typer.Typer()


@app.command()
def show(
    photo: Annotated[str, typer.Argument(metavar="ID", help="Id of a training photograph, or a part of one alone.")],
    method: MethodOption = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="File to write; artifacts/show/<method>/<id>.png if not given."),
    ] = None,
) -> None:
    """Draw what each step, and each loss of the GCN, makes of one photograph; in the terminal too where it can.

    Without --method it is the first one of params.yaml whose CAMs and affinity graph of the photograph are there.

    Example: wsgcn show 2008_000123 --method WSGCN-I
    """
    params, artifacts = project()
    from wsgcn.evaluate.show import STAGE, draw_way, find_photograph
    from wsgcn.propagate.shown import method_to_show, steps_shown
    from wsgcn.runtime.terminal import show_picture
    from wsgcn.store.files import write_atomic
    from wsgcn.store.index import load_index

    index = load_index(artifacts.index)
    image = find_photograph(index, params.dataset.train_split, photo)
    chosen = method_to_show(params, artifacts, image.id, method)
    picture = draw_way(params, artifacts, chosen, index, image, steps_shown(params, artifacts, chosen, index, image))
    target = out or artifacts.label_map(STAGE, chosen.name, image.id)
    write_atomic(target, lambda file: picture.save(file, format="PNG"))
    if not is_quiet():
        show_picture(picture, Console(), os.environ)
    say(f"{image.id} by {chosen.name}: {target}")
