"""The command line: parses, calls a stage, turns an error into one line.

Nothing here imports torch or mlflow before a stage needs them, so that ``wsgcn --help`` answers at once.
"""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from wsgcn import __version__
from wsgcn.errors import DataError, UsageError, WsgcnError
from wsgcn.project import PRESETS
from wsgcn.weights.names import PUBLISHED_NAMES

if TYPE_CHECKING:
    from wsgcn.params import Method, Params
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


# Words of which an option takes one.
PresetName = StrEnum("PresetName", PRESETS)  # type: ignore[misc]
PublishedName = StrEnum("PublishedName", PUBLISHED_NAMES)  # type: ignore[misc]


class TwinName(StrEnum):
    """What ``bench`` compares with."""

    dense = "dense"


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


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the new project.")],
    preset: Annotated[PresetName, typer.Option(help="Which parameters to start from.")],
    data: Annotated[
        Path | None, typer.Option(help="The dataset: VOC2012 itself, or the folder that holds VOCdevkit/VOC2012.")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="File of published ImageNet weights of the backbone.")] = None,
) -> None:
    """Make a project folder: params.yaml, dvc.yaml and .dvc/."""
    from wsgcn.project import init_project

    for missing in init_project(folder, preset.value, data, weights):
        _warn(missing)
    _say(f"{folder} is made: cd {folder} && dvc repro")


@app.command()
def code() -> None:
    """Note for DVC which code each stage is made of, in artifacts/code; dvc repro does this first of all."""
    from wsgcn.stages import write_code

    write_code(*_project())


@app.command()
def dataset() -> None:
    """Read the dataset (or make the demo's) into artifacts/dataset/index.json."""
    from wsgcn.dataset.stage import write_index

    for warning in write_index(*_project()):
        _warn(warning)


@app.command("cams-train")
def cams_train(variant: VariantOption) -> None:
    """Train the classifier of a variant on image-level labels."""
    from wsgcn.cams.stage import train_cam_source

    params, artifacts = _project()
    train_cam_source(params, artifacts, params.variant(variant))
    _say_learned(artifacts, "cams-train", variant)


@app.command()
def cams(variant: VariantOption) -> None:
    """Write the class activation maps of the training photographs."""
    params, artifacts = _project("cams")
    from wsgcn.cams.stage import write_cams

    write_cams(params, artifacts, params.variant(variant))


@app.command("affinity-train")
def affinity_train(variant: VariantOption) -> None:
    """Train the affinity network of a variant on confident CAM regions."""
    params, artifacts = _project("affinity-train")
    from wsgcn.affinity.stage import train_affinity_network

    train_affinity_network(params, artifacts, params.variant(variant))
    _say_learned(artifacts, "affinity-train", variant)


@app.command()
def affinity(variant: VariantOption) -> None:
    """Write the affinity graph and the node features of the training photographs."""
    params, artifacts = _project("affinity")
    from wsgcn.affinity.stage import write_affinity

    write_affinity(params, artifacts, params.variant(variant))


@app.command()
def propagate(
    method: MethodOption = None,
    variant: MethodVariantOption = None,
    propagation: PropagationOption = None,
) -> None:
    """Propagate: learn a GCN for each photograph, or walk at random."""
    params, artifacts = _project("propagate")
    from wsgcn.propagate.stage import write_scores
    from wsgcn.tracking.live import live

    chosen = _method(params, method, variant, propagation)
    with live(params, chosen, _warn) as log:
        write_scores(params, artifacts, chosen, log)


@app.command()
def crf(
    method: MethodOption = None,
    variant: MethodVariantOption = None,
    propagation: PropagationOption = None,
) -> None:
    """Refine the scores with a dense CRF into complete pseudo labels."""
    params, artifacts = _project("crf")
    from wsgcn.crf.stage import write_pseudo_labels

    write_pseudo_labels(params, artifacts, _method(params, method, variant, propagation))


@app.command("evaluate-labels")
def evaluate_labels(
    method: MethodOption = None,
    variant: MethodVariantOption = None,
    propagation: PropagationOption = None,
) -> None:
    """Score CAMs and pseudo labels against ground truth; no network is needed."""
    params, artifacts = _project()
    from wsgcn.evaluate import labels_stage
    from wsgcn.report.differences import difference_sentences, label_differences
    from wsgcn.tracking.complete import complete_run

    chosen = _method(params, method, variant, propagation)
    labels_stage.evaluate_labels(params, artifacts, chosen, _warn)
    complete_run(params, artifacts, chosen, _warn, parts=["labels"])
    try:
        found = label_differences(params.all_methods(), artifacts, {})
    except DataError as error:  # of another method: this one's results are whole
        _warn(str(error))
        return
    for sentence in difference_sentences(one for one in found if chosen.name in (one.first, one.second)):
        _say(sentence)


@app.command()
def segtrain(
    method: MethodOption = None,
    variant: MethodVariantOption = None,
    propagation: PropagationOption = None,
) -> None:
    """Train DeepLabv2 on the pseudo labels."""
    from wsgcn.segtrain.stage import train_segmentation
    from wsgcn.tracking.live import live

    params, artifacts = _project()
    chosen = _method(params, method, variant, propagation)
    with live(params, chosen, _warn) as log:
        train_segmentation(params, artifacts, chosen, log)
    _say_learned(artifacts, "segtrain", chosen.name)


@app.command()
def evaluate(
    method: MethodOption = None,
    variant: MethodVariantOption = None,
    propagation: PropagationOption = None,
    submission: Annotated[
        Path | None,
        typer.Option(metavar="FILE.tgz", help="Instead of scoring, write the archive that VOC's test server takes."),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="With --submission: the list in ImageSets/Segmentation to label, else test."),
    ] = None,
) -> None:
    """Score the segmentation network against ground truth."""
    params, artifacts = _project("evaluate")
    chosen = _method(params, method, variant, propagation)
    if submission is not None:
        from wsgcn.evaluate.submission import write_submission

        count = write_submission(params, artifacts, chosen, split or "test", submission)
        _say(f"{count} label maps of {chosen.name} are in {submission}.")
        return
    if split is not None:
        raise UsageError("--split goes with --submission; the lists that are scored are named in params.yaml")
    from wsgcn.evaluate.network_stage import evaluate_network
    from wsgcn.tracking.complete import complete_run

    evaluate_network(params, artifacts, chosen, _warn)
    complete_run(params, artifacts, chosen, _warn, parts=["network"])


@app.command()
def report() -> None:
    """Compare the methods: a table here, a page in artifacts/report, runs in MLflow."""
    from wsgcn.report.differences import difference_metrics, label_differences
    from wsgcn.report.paper import LABELS_MAY_DIFFER, NETWORKS_MAY_DIFFER
    from wsgcn.report.stage import evaluated_methods, write_report
    from wsgcn.tracking.complete import add_numbers, complete_run
    from wsgcn.tracking.finished import differing_only_in, finished_runs

    params, artifacts = _project()
    evaluated = evaluated_methods(params, artifacts)
    left_out = {method.name: complete_run(params, artifacts, method, _warn) for method in evaluated}
    differences = label_differences(evaluated, artifacts, left_out)
    for method in evaluated:
        add_numbers(params, method, difference_metrics(differences, method.name), _warn)
    runs = finished_runs(params, _warn) if evaluated else []
    labels, networks = (differing_only_in(runs, params, one) for one in (LABELS_MAY_DIFFER, NETWORKS_MAY_DIFFER))
    Console().print(write_report(params, artifacts, labels, networks, left_out))
    _say(f"Pictures and per-class tables: {artifacts.root / 'report' / 'index.html'}; compare runs with `mlflow ui`.")


@app.command()
def clean() -> None:
    """Delete finished work that artifacts/ and DVC's cache do not hold; what is needed again is computed again."""
    from wsgcn.store.finished import FinishedWork

    params, _ = _project()
    freed = FinishedWork(Path(params.runtime.store)).shrink(0)
    _say(f"{freed / 1e6:.0f} MB of finished work are deleted from {params.runtime.store}.")


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
    method: MethodOption = None,
    variant: MethodVariantOption = None,
    propagation: PropagationOption = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the rows as JSON.")] = None,
) -> None:
    """Time every kernel, and the per-image stages on photographs of this project: how long will a job take?"""
    from wsgcn.bench import run
    from wsgcn.bench.inputs import parse_case
    from wsgcn.bench.table import bench_table
    from wsgcn.params import load_params
    from wsgcn.runtime.progress import progress_bar
    from wsgcn.store.files import write_json
    from wsgcn.tracking.bench import log_bench
    from wsgcn.vocabulary import PRESET_FOLDER

    in_project = PARAMS_FILE.exists()
    params = load_params(PARAMS_FILE if in_project else PRESET_FOLDER / "voc12.yaml")
    named = (method, variant, propagation) != (None, None, None)
    chosen = _method(params, method, variant, propagation) if named else params.all_methods()[0]
    cases = [parse_case(one, features, classes) for one in grid or ([] if networks or trainings else ["94x125"])]
    work = run.plan(params, cases, repeats, against is not None, photographs, chosen, networks, trainings)
    rows = []
    with progress_bar("bench", len(work)) as advance:
        for measure in work:
            rows.append(measure())
            advance()
    Console().print(bench_table(rows))
    if json is not None:
        write_json(json, {"rows": [row.as_json() for row in rows]})
    if in_project:
        log_bench(params, {f"{row.what} {row.size}": row.as_json() for row in rows}, _warn)


@weights.command("import")
def import_weights(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="As the public project publishes it.")],
    network: Annotated[PublishedName, typer.Option("--as", help="Which network the file holds.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File to write; weights/<network>.pt if it is not given.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
) -> None:
    """Convert and check a published file, and store it where params.yaml can name it."""
    from wsgcn.weights.importer import import_published

    target = out or Path("weights") / f"{network.value}.pt"
    import_published(file, network.value, target, overwrite=overwrite)
    _say(f"{target} is ready")


def _project(stage: str | None = None) -> tuple[Params, Artifacts]:
    """The project in this folder; a stage's worker processes get ready while this one imports the stage."""
    from wsgcn.params import load_params
    from wsgcn.store.paths import Artifacts

    params = load_params(PARAMS_FILE)
    if stage is not None:
        from wsgcn.runtime.cores import start_fork_server
        from wsgcn.stages import STAGES

        start_fork_server(STAGES[stage].module, params.runtime.workers)
    return params, Artifacts()


def _method(params: Params, method: str | None, variant: str | None, propagation: str | None) -> Method:
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


def _say(text: str) -> None:
    Console(soft_wrap=True).print(escape(text))


def _say_learned(artifacts: Artifacts, stage: str, name: str) -> None:
    """Tell whether a network learned, and warn where it did not."""
    from wsgcn.store.learned import read_learned, sentence, untaught

    if record := read_learned(artifacts, stage, name):
        _say(sentence(stage, name, record))
        if warning := untaught(stage, name, record):
            _warn(warning)


def _warn(text: str) -> None:
    Console(stderr=True, soft_wrap=True).print(f"[yellow]warning:[/] {escape(text)}")


def _show_version(wanted: bool) -> None:
    if wanted:
        _say(f"wsgcn {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and stop.")
    ] = False,
) -> None:
    """From image-level labels to pixel-wise labels and a segmentation network."""


def main() -> None:
    """Run the command line; an error that a user can cause is one line, without a traceback."""
    try:
        app()
    except WsgcnError as error:
        Console(stderr=True, soft_wrap=True).print(f"[red]error:[/] {escape(str(error))}")
        sys.exit(error.exit_code)
