"""What the commands share: options, the project in this folder, and lines for the user."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from wsgcn.errors import UsageError
from wsgcn.runtime.progress import duration, is_quiet
from wsgcn.runtime.shard import Shard, parse_shard

if TYPE_CHECKING:
    from wsgcn.methods import Method
    from wsgcn.params import Params
    from wsgcn.store.paths import Artifacts

PARAMS_FILE = Path("params.yaml")

VariantOption = Annotated[str, typer.Option(metavar="NAME", help="A variant of params.yaml, such as I or P.")]
MethodVariantOption = Annotated[
    str | None, typer.Option("--variant", metavar="NAME", help="Instead of --method: its variant, such as I or P.")
]
PropagationOption = Annotated[
    str | None,
    typer.Option(
        metavar="KIND",
        help="Beside --variant: the method's kind of propagation, or its name; without it the one that is no baseline.",
    ),
]
MethodOption = Annotated[
    str | None, typer.Option("--method", metavar="NAME", help="A method of params.yaml, such as WSGCN-I.")
]


ShardOption = Annotated[
    Shard | None,
    typer.Option(
        metavar="K/N",
        parser=parse_shard,
        help="Do one of N parts of the photographs, from 1/N on; after all of them run this without it.",
    ),
]


def project(stage: str | None = None) -> tuple[Params, Artifacts]:
    """The project in this folder; a stage's worker processes get ready while this one imports the stage."""
    from wsgcn.params import load_params
    from wsgcn.store.paths import Artifacts, borrow_files

    params = load_params(PARAMS_FILE)
    borrow_files([*params.outside()])
    if stage is not None:
        from wsgcn.runtime.cores import start_fork_server
        from wsgcn.stages import STAGES

        start_fork_server(STAGES[stage].module, params.runtime.workers)
    return params, Artifacts()


def only_method(params: Params, has: Callable[[str], bool], what: str, stage: str) -> Method:
    """The one method that has something, where none is named.

    Args:
        params: the whole of ``params.yaml``.
        has: says of a method's name whether it does.
        what: it is, for the error.
        stage: of DVC, that makes it.

    Raises:
        UsageError: none has, or several have.
    """
    having = [name for name in params.methods if has(name)]
    if len(having) != 1:
        there = f"are {what}s of {', '.join(having)}" if having else f"is no {what} yet"
        raise UsageError(f"there {there}: give --method NAME, after `dvc repro {stage}@NAME`")
    return params.method(having[0])


def find_method(params: Params, method: str | None, variant: str | None, propagation: str | None) -> Method:
    """The method that the options name.

    Raises:
        UsageError: there is none, or the options name none or two.
    """
    if method is not None and (variant is not None or propagation is not None):
        raise UsageError("--method names a method by itself: leave out --variant and --propagation, or --method")
    if method is not None:
        return params.method(method)
    if variant is None:
        raise UsageError(f"no method is named: give --method, one of {', '.join(params.methods)}, or --variant")
    return params.find_method(variant, propagation)


def say(text: str) -> None:
    """Show a line, unless it is to be quiet; brackets in it are no markup."""
    if not is_quiet():
        Console(soft_wrap=True).print(escape(text))


@contextmanager
def telling(wrote: Path, go_on: str, shard: Shard | None = None) -> Iterator[None]:
    """Tell at the end of a stage what it wrote and in how long, and what comes next where DVC does not know it."""
    start = time.monotonic()
    yield
    passed = duration(time.monotonic() - start)
    if shard is not None:
        say(f"shard {shard} of {wrote} is complete after {passed}; after all shards: the same without --shard")
        return
    by_hand = "" if os.environ.get("DVC_STAGE") else f"; next: {go_on}"
    say(f"{wrote} is complete after {passed}{by_hand}")


def say_learned(artifacts: Artifacts, stage: str, name: str) -> None:
    """Tell whether a network learned, and warn where it did not."""
    from wsgcn.store.learned import read_learned, sentence, untaught

    if record := read_learned(artifacts, stage, name):
        say(sentence(stage, name, record))
        if warning := untaught(stage, name, record):
            warn(warning)


def warn(text: str) -> None:
    """Show a line about something that is no error."""
    Console(stderr=True, soft_wrap=True).print(f"[yellow]warning:[/] {escape(text)}")
