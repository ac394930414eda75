"""The command line: parses, calls a stage, turns an error into one line.

Nothing here imports torch or mlflow before a stage needs them, so that ``wsgcn --help`` answers at once.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from types import FrameType
from typing import Annotated, NoReturn

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

MACHINE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "make room"),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), "let this user read and write there"),
    **dict.fromkeys((errno.EIO, errno.ESTALE), "see whether the disk or the shared folder works"),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "let this user open more files (ulimit -n)"),
}
"""What to do about an error of the machine that can come from any file; other OSErrors are mistakes of ours."""

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
    """Run the command line; an error that a user or the machine can cause is one line, without a traceback."""
    signal.signal(signal.SIGTERM, _end)
    try:
        app()
    except WsgcnError as error:
        _show(str(error))
        sys.exit(error.exit_code)
    except OSError as error:
        advice = MACHINE.get(error.errno or 0)
        if advice is None:
            raise
        where = f": {error.filename}" if error.filename else ""
        _show(f"{error.strerror}{where}: {advice} and run it again, what is done stays done")
        sys.exit(1)


def _show(line: str) -> None:
    if is_set(VERBOSE):
        Console(stderr=True).print_exception()
    Console(stderr=True, soft_wrap=True).print(f"[red]error:[/] {escape(line)}")


def _end(number: int, frame: FrameType | None) -> NoReturn:
    """End as an interrupt does, so that MLflow hears of it; batch systems send SIGTERM before they kill."""
    sys.exit(128 + number)
