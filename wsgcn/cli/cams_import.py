"""Command ``cams-import``: class activation maps of another method.

It is no subcommand of ``cams``: that is a stage, with the option that each stage of a variant requires.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsgcn.cli.common import project, say, warn
from wsgcn.errors import UsageError

if TYPE_CHECKING:
    from wsgcn.params import Params

app = typer.Typer()
IMPORTED = Path("imported")


class FormatName(StrEnum):
    """How projects save their maps: the words of ``wsgcn.cams.layouts.LAYOUTS``."""

    irnet = "irnet"
    psa = "psa"
    npz = "npz"


@app.command("cams-import")
def cams_import(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with a file for each training photograph.")],
    layout: Annotated[
        FormatName,
        typer.Option(
            "--format",
            help="irnet: <id>.npy with keys, cam, high_res; psa: <id>.npy with a map by number of class (SEAM has it "
            "too); npz: <id>.npz with a map by name of class.",
        ),
    ],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="What params.yaml is to call them, else the name of DIR.")
    ] = None,
) -> None:
    """Import class activation maps of another method into the project, and say how params.yaml can use them.

    Example: wsgcn cams-import ../SEAM/out_cam --format psa --name seam
    """
    params, artifacts = project()
    chosen = source.resolve().name if name is None else name
    folder = IMPORTED / chosen
    known = _is_known(params, chosen, folder)
    from wsgcn.cams.importing import import_cams

    note = import_cams(params, artifacts, source, layout.value, folder)
    say(f"Maps of {note['photographs']} photographs are in {folder}, digest {note['digest'][:12]}.")
    if known:
        say(f"params.yaml uses them as cams.{chosen}: dvc repro runs what depends on it.")
        return
    lines = _lines(params, chosen, folder)
    say(f"Add these lines to the sections of params.yaml, then dvc repro evaluate-labels@{_method(chosen)}:\n\n{lines}")
    _try(params, lines)


def _is_known(params: Params, name: str, folder: Path) -> bool:
    """Whether params.yaml has an entry for this folder by this name.

    Raises:
        UsageError: it has another entry, or a variant, by this name, or the name is none.
    """
    from pydantic import TypeAdapter, ValidationError

    from wsgcn.sections import Name

    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError:
        raise UsageError(f"{name!r} cannot be a name: give --name, letters, digits, - and _, a letter first") from None
    if name in params.cams:
        if folder not in map(Path, params.cams[name].files()):
            raise UsageError(f"params.yaml has another CAM source called {name}: give another --name")
        return True
    if name in params.variants or _method(name) in params.methods:
        raise UsageError(f"params.yaml has a variant or method called {name}: give another --name")
    return False


def _method(name: str) -> str:
    return f"WSGCN-{name}"


def _lines(params: Params, name: str, folder: Path) -> str:
    """An entry, a variant and a method; what is not imported is as in the first method that is no baseline."""
    known = params.all_methods()
    like = next((one for one in known if not one.propagation.baseline), known[0])
    rest = f"propagation: {like.propagation_name}, crf: {like.crf_name}, segtrain: {like.segtrain_name}"
    stride = like.variant.affinity.graph_settings().get("stride", 4)
    return f"""\
cams:
  {name}: {{kind: imported, train: null, infer: {{folder: {folder.as_posix()}, stride: {stride}}}}} # pixels a cell
variants:
  {name}: {{cams: {name}, affinity: {like.variant.affinity_name}, after: dataset/index.json}}
methods:
  {_method(name)}: {{variant: {name}, {rest}}}
"""


def _try(params: Params, lines: str) -> None:
    """Warn of what else must be changed, such as networks that start as a classifier, of which there is none here."""
    import yaml

    from wsgcn.params import parse_params

    content = params.model_dump(mode="json")
    for section, entries in yaml.safe_load(lines).items():
        content[section] |= entries
    try:
        parse_params(content, "with these lines params.yaml needs another change")
    except UsageError as error:
        warn(str(error))
