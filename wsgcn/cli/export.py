"""Command ``export``: finished pseudo labels for other trainers."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsgcn.cli.common import only_method, project, say, warn

if TYPE_CHECKING:
    pass

app = typer.Typer()


class FormatName(StrEnum):
    """Formats of labels."""

    voc = "voc"
    coco = "coco"
    yolo = "yolo"
    png = "png"


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New or empty folder, or one of an earlier export.")],
    form: Annotated[FormatName, typer.Option("--format", help="What the trainer reads; png is label maps alone.")],
    method: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose labels; not needed where one method alone has some.")
    ] = None,
) -> None:
    """Write the pseudo labels of the training photographs as other trainers read them.

    Example: wsgcn export pets-coco --format coco --method WSGCN-I
    """
    params, artifacts = project()
    from wsgcn.export.stage import export_labels

    if method is None:
        chosen = only_method(params, lambda name: any(artifacts.folder("crf", name).glob("*.png")), "label map", "crf")
    else:
        chosen = params.method(method)
    photos = export_labels(params, artifacts, chosen, form.value, folder, warn)
    splits = [photo.split for photo in photos]
    counts = " and ".join(f"{splits.count(split)} of {split}" for split in dict.fromkeys(splits))
    say(f"Photographs with labels of {chosen.name}: {counts}, in {folder}")
