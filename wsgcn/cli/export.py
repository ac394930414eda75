"""Command ``export``: finished pseudo labels for other trainers."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsgcn.cli.common import project, say, warn
from wsgcn.errors import UsageError

if TYPE_CHECKING:
    from wsgcn.params import Method, Params
    from wsgcn.store.paths import Artifacts

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

    chosen = _method(params, artifacts, method)
    photos = export_labels(params, artifacts, chosen, form.value, folder, warn)
    splits = [photo.split for photo in photos]
    counts = " and ".join(f"{splits.count(split)} of {split}" for split in dict.fromkeys(splits))
    say(f"Photographs with labels of {chosen.name}: {counts}, in {folder}")


def _method(params: Params, artifacts: Artifacts, method: str | None) -> Method:
    """The named method, or the only one that has pseudo labels.

    Raises:
        UsageError: it is unknown, or none is named and none or several have labels.
    """
    if method is not None:
        return params.method(method)
    labelled = [name for name in params.methods if any(artifacts.folder("crf", name).glob("*.png"))]
    if len(labelled) != 1:
        there = f"are labels of {', '.join(labelled)}" if labelled else "are no labels yet"
        raise UsageError(f"there {there}: give --method NAME, after `dvc repro crf@NAME`")
    return params.method(labelled[0])
