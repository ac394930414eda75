"""The command line: parses, calls a stage, turns an error into one line.

Nothing here imports torch or mlflow before a stage needs them, so that ``wsgcn --help`` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from wsgcn import __version__
from wsgcn.errors import UsageError, WsgcnError
from wsgcn.vocabulary import METHODS, Method, find_method

if TYPE_CHECKING:
    from wsgcn.params import Params
    from wsgcn.store.paths import Artifacts

app = typer.Typer(
    name="wsgcn",
    help="From image-level labels to pixel-wise labels and a segmentation network.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)

weights = typer.Typer(help="Weights that public projects publish.", no_args_is_help=True)
app.add_typer(weights, name="weights")

PARAMS_FILE = Path("params.yaml")


class VariantName(StrEnum):
    """Whose CAMs and affinity: IRNet's or PSA's."""

    I = "I"
    P = "P"


class PropagationName(StrEnum):
    """The paper's GCN or the baseline's random walk."""

    gcn = "gcn"
    random_walk = "random-walk"


class PresetName(StrEnum):
    """The parameter files that ship with the package."""

    demo = "demo"
    voc12 = "voc12"
    voc12_mobile = "voc12-mobile"


class TwinName(StrEnum):
    """What ``bench`` compares with."""

    dense = "dense"


class NetworkName(StrEnum):
    """Whose published weights ``weights import`` reads."""

    mobilenet_v2 = "mobilenet-v2"
    resnet_50 = "resnet-50"
    resnet_101 = "resnet-101"
    drn_d_105 = "drn-d-105"
    resnet_38 = "resnet-38"
    irnet_cam = "irnet-cam"
    irnet_boundary = "irnet-boundary"
    psa_classifier = "psa-classifier"
    psa_affinitynet = "psa-affinitynet"
    deeplab_coco = "deeplab-coco"
    deeplab_voc = "deeplab-voc"


VariantOption = Annotated[VariantName, typer.Option(help="I = IRNet's CAMs and affinity, P = PSA's.")]
PropagationOption = Annotated[PropagationName, typer.Option(help="gcn = the paper, random-walk = the baseline.")]


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the new project.")],
    preset: Annotated[PresetName, typer.Option(help="Which parameters to start from.")],
    data: Annotated[Path | None, typer.Option(help="Folder with VOCdevkit/VOC2012 in it.")] = None,
    weights: Annotated[Path | None, typer.Option(help="File of published ImageNet weights of the backbone.")] = None,
) -> None:
    """Make a project folder: params.yaml, dvc.yaml and .dvc/."""
    from wsgcn.project import init_project

    init_project(folder, preset, data, weights)
    _say(f"{folder} is ready: cd {folder} && dvc repro")


@app.command()
def dataset() -> None:
    """Read the dataset (or make the demo's) into artifacts/dataset/index.json."""
    from wsgcn.dataset import stage

    for warning in stage.run(*_project()):
        _warn(warning)


@app.command("cams-train")
def cams_train(variant: VariantOption) -> None:
    """Train the multi-label classifier of a variant on image-level labels."""
    from wsgcn.cams import stage

    stage.train(*_project(), variant.value)


@app.command()
def cams(variant: VariantOption) -> None:
    """Write the class activation maps of the training photographs."""
    from wsgcn.cams import stage

    stage.infer(*_project(), variant.value)


@app.command("affinity-train")
def affinity_train(variant: VariantOption) -> None:
    """Train the affinity network of a variant on confident CAM regions."""
    from wsgcn.affinity import stage

    stage.train(*_project(), variant.value)


@app.command()
def affinity(variant: VariantOption) -> None:
    """Write the affinity graph and the node features of the training photographs."""
    from wsgcn.affinity import stage

    stage.infer(*_project(), variant.value)


@app.command()
def propagate(variant: VariantOption, propagation: PropagationOption = PropagationName.gcn) -> None:
    """Propagate: learn a GCN for each photograph, or walk at random."""
    from wsgcn.propagate import stage

    _run_tracked(stage.run, find_method(variant, propagation))


@app.command()
def crf(variant: VariantOption, propagation: PropagationOption = PropagationName.gcn) -> None:
    """Refine the scores with a dense CRF into complete pseudo labels."""
    from wsgcn.crf import stage

    stage.run(*_project(), find_method(variant, propagation))


@app.command()
def segtrain(variant: VariantOption, propagation: PropagationOption = PropagationName.gcn) -> None:
    """Train DeepLabv2 on the pseudo labels."""
    from wsgcn.segtrain import stage

    _run_tracked(stage.run, find_method(variant, propagation))


@app.command()
def evaluate(
    variant: VariantOption,
    propagation: PropagationOption = PropagationName.gcn,
    submission: Annotated[
        Path | None, typer.Option(metavar="FILE.tgz", help="Score nothing; write the archive for VOC's test server.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(metavar="LIST", help="Whose photographs are in it, test without this.")
    ] = None,
) -> None:
    """Score CAMs, pseudo labels and the segmentation network against ground truth."""
    from wsgcn import tracking
    from wsgcn.evaluate import stage

    (params, artifacts), method = _project(), find_method(variant, propagation)
    if submission is not None:
        from wsgcn.evaluate.submission import run

        count = run(params, artifacts, method, split or "test", submission)
        _say(f"{count} label maps of {method.name} are in {submission}.")
        return
    if split is not None:
        raise UsageError("--split goes with --submission; the lists that are scored are named in params.yaml")
    stage.run(params, artifacts, method)
    tracking.record(params, artifacts, method, _warn)


@app.command()
def report() -> None:
    """Compare the methods: a table here, a page in artifacts/report, runs in MLflow."""
    from wsgcn import tracking
    from wsgcn.record import differing_only_in
    from wsgcn.report import stage
    from wsgcn.report.paper import LABELS_MAY_DIFFER, NETWORKS_MAY_DIFFER

    params, artifacts = _project()
    evaluated = [method for method in METHODS.values() if artifacts.metrics(method.name).exists()]
    for method in evaluated:
        tracking.record(params, artifacts, method, _warn)
    runs = tracking.recorded(params, _warn) if evaluated else []
    alike = [differing_only_in(runs, params, *names) for names in (LABELS_MAY_DIFFER, NETWORKS_MAY_DIFFER)]
    table = stage.run(params, artifacts, *alike)
    Console().print(table)
    _say(f"Pictures and per-class tables: {artifacts.root / 'report' / 'index.html'}; compare runs with `mlflow ui`.")


@app.command()
def bench(
    grid: Annotated[
        list[str] | None,
        typer.Option(metavar="HxW", help="Grid of a made-up photograph, 94x125 without this and --networks."),
    ] = None,
    features: Annotated[int, typer.Option(min=1, help="Channels of its node features.")] = 160,
    classes: Annotated[int, typer.Option(min=2, max=13, help="Columns of its scores, background included.")] = 3,
    repeats: Annotated[int, typer.Option(min=1, help="Calls of each kernel; the fastest counts.")] = 3,
    against: Annotated[TwinName | None, typer.Option(help="dense = N x N matrices, as in the public code.")] = None,
    photographs: Annotated[int, typer.Option(min=0, help="So many of this project are propagated and refined.")] = 0,
    networks: Annotated[
        Path | None, typer.Option(metavar="PHOTO", help="Send it forward and backward through every network.")
    ] = None,
    variant: VariantOption = VariantName.I,
    propagation: PropagationOption = PropagationName.gcn,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the rows there.")] = None,
) -> None:
    """Time every kernel, and the per-image stages on photographs of this project: how long will a job take?"""
    from wsgcn import tracking
    from wsgcn.bench import run
    from wsgcn.bench.inputs import parse_case
    from wsgcn.bench.table import bench_table
    from wsgcn.params import load_params
    from wsgcn.runtime.progress import progress_bar
    from wsgcn.store.files import write_json
    from wsgcn.store.fingerprints import PACKAGE

    in_project = PARAMS_FILE.exists()
    params = load_params(PARAMS_FILE if in_project else PACKAGE / "presets" / "voc12.yaml")
    cases = [parse_case(one, features, classes) for one in grid or ([] if networks else ["94x125"])]
    method = find_method(variant, propagation)
    work = run.plan(params, cases, repeats, against is not None, photographs, method, networks)
    rows = []
    with progress_bar("bench", len(work)) as advance:
        for measure in work:
            rows.append(measure())
            advance()
    Console().print(bench_table(rows))
    if json is not None:
        write_json(json, {"rows": [row.as_json() for row in rows]})
    if in_project:
        tracking.log_bench(params, {f"{row.what} {row.size}": row.as_json() for row in rows}, _warn)


@weights.command("import")
def import_weights(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="As the public project publishes it.")],
    network: Annotated[NetworkName, typer.Option("--as", help="What it holds.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Written there, without this to weights/<network>.pt.")
    ] = None,
) -> None:
    """Convert and check a published file, and store it where params.yaml can name it."""
    from wsgcn.weights.run import import_weights as run

    target = out or Path("weights") / f"{network.value}.pt"
    run(file, network.value, target)
    _say(f"{target} is ready")


def _project() -> tuple[Params, Artifacts]:
    from wsgcn.params import load_params
    from wsgcn.store.paths import Artifacts

    return load_params(PARAMS_FILE), Artifacts()


def _run_tracked(run: Callable[..., None], method: Method) -> None:
    """Run a stage of a method with its live curves going to MLflow."""
    from wsgcn import tracking

    params, artifacts = _project()
    with tracking.live(params, method, _warn) as log:
        run(params, artifacts, method, log)


def _say(text: str) -> None:
    Console(soft_wrap=True).print(escape(text))


def _warn(text: str) -> None:
    Console(stderr=True, soft_wrap=True).print(f"[yellow]warning:[/] {escape(text)}")


def _show_version(wanted: bool) -> None:
    if wanted:
        _say(f"wsgcn {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Say it.")] = False,
) -> None:
    """From image-level labels to pixel-wise labels and a segmentation network."""


def main() -> None:
    """Run the command line; an error that a user can cause is one line, without a traceback."""
    try:
        app()
    except WsgcnError as error:
        Console(stderr=True, soft_wrap=True).print(f"[red]error:[/] {escape(str(error))}")
        sys.exit(error.exit_code)
