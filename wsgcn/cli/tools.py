"""Commands beside the pipeline: cleaning, measuring, weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.console import Console

from wsgcn.cli.common import (
    PARAMS_FILE,
    MethodOption,
    MethodVariantOption,
    PropagationOption,
    find_method,
    project,
    say,
    warn,
)
from wsgcn.errors import UsageError
from wsgcn.weights.names import PUBLISHED_NAMES

if TYPE_CHECKING:
    from wsgcn.methods import Method
    from wsgcn.params import Params

Measured = TypeVar("Measured")
PLAN_SAMPLE = 16
"""Photographs that ``--plan`` measures, unless ``--photographs`` says otherwise."""

app = typer.Typer()
weights = typer.Typer(help="Weights that public projects publish.", no_args_is_help=True)
app.add_typer(weights, name="weights")
PublishedName = StrEnum("PublishedName", PUBLISHED_NAMES)  # type: ignore[misc]


PlanOption = Annotated[
    int | None,
    typer.Option(
        min=1, help="Instead, reckon what the stages of the method would take on so many photographs like those here."
    ),
]
MachinesOption = Annotated[
    str | None, typer.Option(metavar="MxC", help="With --plan: machines and cores of each, such as 8x16.")
]


class TwinName(StrEnum):
    """What ``bench`` compares with."""

    dense = "dense"


@app.command()
def clean() -> None:
    """Delete finished work that artifacts/ and DVC's cache do not hold; what is needed again is computed again.

    Example: wsgcn clean
    """
    from wsgcn.store.finished import FinishedWork
    from wsgcn.store.paths import in_project

    params, _ = project()
    freed = FinishedWork(in_project(params.runtime.store)).shrink(0)
    say(f"{freed / 1e6:.0f} MB of finished work are deleted from {params.runtime.store}.")


@app.command()
def bench(
    grid: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HxW", help="Grid of a made-up photograph; 94x125 without this, --networks and --trainings."
        ),
    ] = None,
    features: Annotated[int, typer.Option(min=1, help="Channels of its node features.")] = 160,
    classes: Annotated[int, typer.Option(min=2, max=13, help="Columns of its scores, background included.")] = 3,
    repeats: Annotated[int, typer.Option(min=1, help="Calls of each kernel; the fastest counts.")] = 3,
    against: Annotated[
        TwinName | None, typer.Option(help="Also time the same work with N x N matrices, as the public code does it.")
    ] = None,
    photographs: Annotated[
        int, typer.Option(min=0, help="Also propagate and refine this many photographs of the project here.")
    ] = 0,
    trainings: Annotated[
        bool, typer.Option("--trainings", help="Also train every network of the project here for a few updates.")
    ] = False,
    networks: Annotated[
        Path | None,
        typer.Option(metavar="PHOTO", help="A photograph to time one forward and backward pass of every network on."),
    ] = None,
    plan: PlanOption = None,
    machines: MachinesOption = None,
    method: MethodOption = None,
    variant: MethodVariantOption = None,
    propagation: PropagationOption = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the rows as JSON.")] = None,
) -> None:
    """Time every kernel, and the per-image stages on photographs of this project: how long will a job take?

    Example: wsgcn bench --photographs 100 --method WSGCN-I
    """
    from wsgcn.bench import run
    from wsgcn.bench.inputs import parse_case
    from wsgcn.bench.table import bench_table
    from wsgcn.params import load_params
    from wsgcn.store.files import write_json
    from wsgcn.tracking.bench import log_bench
    from wsgcn.vocabulary import PRESET_FOLDER

    in_project = PARAMS_FILE.exists()
    params = load_params(PARAMS_FILE if in_project else PRESET_FOLDER / "voc12.yaml")
    named = (method, variant, propagation) != (None, None, None)
    chosen = find_method(params, method, variant, propagation) if named else params.all_methods()[0]
    if plan is not None:
        _show_plan(params, chosen, plan, machines, photographs or PLAN_SAMPLE, json)
        return
    if machines is not None:
        raise UsageError("--machines goes with --plan, which reckons for them what is measured here")
    cases = [parse_case(one, features, classes) for one in grid or ([] if networks or trainings else ["94x125"])]
    work = run.plan(params, cases, repeats, against is not None, photographs, chosen, networks, trainings)
    rows = _measured("bench", work)
    Console().print(bench_table(rows))
    if json is not None:
        write_json(json, {"rows": [row.as_json() for row in rows]})
    if in_project:
        log_bench(params, {f"{row.what} {row.size}": row.as_json() for row in rows}, warn)


def _show_plan(
    params: Params, method: Method, photographs: int, machines: str | None, sample: int, file: Path | None
) -> None:
    from wsgcn.bench.plan import Machines, parse_machines, plan_stages, totals
    from wsgcn.bench.table import plan_table
    from wsgcn.runtime.cores import core_count
    from wsgcn.store.files import write_json

    shared = Machines(1, core_count()) if machines is None else parse_machines(machines)
    planned = _measured("bench --plan", plan_stages(params, method, photographs, shared, sample))
    Console().print(plan_table(planned))
    if file is not None:
        write_json(file, {"stages": [asdict(one) for one in planned], "all": totals(planned)})


def _measured(label: str, work: Sequence[Callable[[], Measured]]) -> list[Measured]:
    from wsgcn.runtime.progress import progress_bar

    rows = []
    with progress_bar(label, len(work)) as advance:
        for measure in work:
            rows.append(measure())
            advance()
    return rows


@weights.command("import")
def import_weights(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="As the public project publishes it.")],
    network: Annotated[PublishedName, typer.Option("--as", help="Which network the file holds.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File to write; weights/<network>.pt if it is not given.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
) -> None:
    """Convert and check a published file, and store it where params.yaml can name it.

    Example: wsgcn weights import FILE --as resnet-38
    """
    from wsgcn.weights.importer import import_published

    target = out or Path("weights") / f"{network.value}.pt"
    import_published(file, network.value, target, overwrite=overwrite)
    say(f"{target} is ready")
