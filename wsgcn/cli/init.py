"""Command ``init``: a new project."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from wsgcn.cli.common import say, warn
from wsgcn.errors import DataError, UsageError
from wsgcn.preset import OWN_PRESET, PRESETS
from wsgcn.runtime.progress import is_quiet

if TYPE_CHECKING:
    from wsgcn.preset import OwnPhotographs

app = typer.Typer()
PresetName = StrEnum("PresetName", PRESETS)  # type: ignore[misc]


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the new project.")],
    preset: Annotated[
        PresetName | None, typer.Option(help="Which parameters to start from; of --images, voc12-mobile if not said.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="The dataset: VOC2012 itself, or the folder that holds VOCdevkit/VOC2012.")
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="Instead of --data: a folder of your own photographs, sorted into one folder a class, or:"),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="CSV of their tags, columns image,labels, labels separated by ;. May lie in --images."),
    ] = None,
    masks: Annotated[
        Path | None, typer.Option(help="Folder of ground truth <id>.png of some of --images or all, for scores alone.")
    ] = None,
    copy: Annotated[bool, typer.Option("--copy", help="Copy --images into the project.")] = False,
    weights: Annotated[Path | None, typer.Option(help="File of published ImageNet weights of the backbone.")] = None,
) -> None:
    """Make a project folder: params.yaml, dvc.yaml and .dvc/.

    Example: wsgcn init pets --images photographs --labels tags.csv --weights mobilenet_v2-imagenet.pth
    """
    from wsgcn.project import init_project

    if images is None and (labels or masks or copy):
        raise UsageError("--labels, --masks and --copy go with --images: name the folder of the photographs")
    if images is not None and data is not None:
        raise UsageError("--images and --data are two datasets: give one of them")
    if preset is None and images is None:
        raise UsageError(f"choose --preset, one of {', '.join(PRESETS)}, or give --images of your own")
    name = preset.value if preset else OWN_PRESET
    source = data if images is None else _own_photographs(images, labels, masks, copy, name)
    made = init_project(folder, name, source, weights)
    for line in (*made.missing, *made.notes):
        warn(line)
    go_on = "dvc repro" if folder.resolve() == Path.cwd() else f"cd {folder} && dvc repro"
    count = len(made.missing)
    things = "1 thing is" if count == 1 else f"{count} things are"
    say(
        f"{folder} is made, but {things} missing (see above) before {go_on}" if count else f"{folder} is ready: {go_on}"
    )


def _own_photographs(images: Path, labels: Path | None, masks: Path | None, copy: bool, preset: str) -> OwnPhotographs:
    """Look at somebody's own photographs and show what was found.

    Raises:
        DataError: they cannot become a project as they are.
    """
    from wsgcn.dataset.findings import findings_table
    from wsgcn.dataset.own import look_at, own_photographs

    found = look_at(images, labels, masks, preset)
    if not is_quiet():
        Console().print(findings_table(found.findings))
    if found.problems:
        raise DataError(f"nothing was made; mend this first: {'; '.join(found.problems)}")
    return own_photographs(images, masks, found, copy)
