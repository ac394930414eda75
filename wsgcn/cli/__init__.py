"""The command line: parses, calls a stage, turns an error into one line.

Nothing here imports torch or mlflow before a stage needs them, so that ``wsgcn --help`` answers at once.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from wsgcn import __version__
from wsgcn.cli import cams_import, export, export_model, init, predict, show, stages, tools
from wsgcn.cli.common import say
from wsgcn.errors import WsgcnError
from wsgcn.runtime.progress import QUIET, is_set

VERBOSE = "WSGCN_VERBOSE"
"""Environment variable that works as option ``-v``, for commands that DVC starts."""

app = typer.Typer(
    name="wsgcn",
    help="From image-level labels to pixel-wise labels and a segmentation network.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
for part in (init, stages, cams_import, predict, show, export, export_model, tools):
    app.add_typer(part.app)


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"wsgcn {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and stop.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Say nothing but warnings and errors, as with WSGCN_QUIET=1.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show where an error was raised, as with WSGCN_VERBOSE=1.")
    ] = False,
) -> None:
    """From image-level labels to pixel-wise labels and a segmentation network."""
    if quiet:
        os.environ[QUIET] = "1"
    if verbose:
        os.environ[VERBOSE] = "1"


def main() -> None:
    """Run the command line; an error that a user can cause is one line, without a traceback."""
    try:
        app()
    except WsgcnError as error:
        if is_set(VERBOSE):
            Console(stderr=True).print_exception()
        Console(stderr=True, soft_wrap=True).print(f"[red]error:[/] {escape(str(error))}")
        sys.exit(error.exit_code)
