"""A command for each stage of the pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from wsgcn.cli.common import (
    MethodOption,
    MethodVariantOption,
    PropagationOption,
    ShardOption,
    VariantOption,
    find_method,
    project,
    say,
    say_learned,
    telling,
    warn,
)
from wsgcn.errors import DataError, UsageError

app = typer.Typer()


@app.command()
def code() -> None:
    """Note for DVC which code each stage is made of, in artifacts/code; dvc repro does this first of all.

    It stops where somebody changed CAMs, graphs, scores or labels by hand, as dvc repro would replace them.

    Example: wsgcn code
    """
    from wsgcn.stages import write_code
    from wsgcn.store.foreign import refuse_foreign_files

    params, artifacts = project()
    refuse_foreign_files(artifacts)
    write_code(params, artifacts)


@app.command()
def dataset() -> None:
    """Read the dataset (or make the demo's) into artifacts/dataset/index.json.

    Example: wsgcn dataset
    """
    from wsgcn.dataset.stage import write_index

    params, artifacts = project()
    with telling(artifacts.index, f"wsgcn cams-train --variant {next(iter(params.variants))}"):
        for warning in write_index(params, artifacts):
            warn(warning)


@app.command("cams-train")
def cams_train(variant: VariantOption) -> None:
    """Train the classifier of a variant on image-level labels.

    Example: wsgcn cams-train --variant I
    """
    from wsgcn.cams.stage import train_cam_source
    from wsgcn.training.launched import trained_together

    params, artifacts = project()
    chosen = params.variant(variant)
    with trained_together(params.runtime) as first:
        if first:
            with telling(artifacts.folder("cams-train", variant), f"wsgcn cams --variant {variant}"):
                train_cam_source(params, artifacts, chosen)
            say_learned(artifacts, "cams-train", variant)


@app.command()
def cams(variant: VariantOption, shard: ShardOption = None) -> None:
    """Write the class activation maps of the training photographs.

    Example: wsgcn cams --variant I
    """
    params, artifacts = project("cams")
    from wsgcn.cams.stage import write_cams

    chosen = params.variant(variant)
    with telling(artifacts.folder("cams", variant), f"wsgcn affinity-train --variant {variant}", shard):
        write_cams(params, artifacts, chosen, shard)


@app.command("affinity-train")
def affinity_train(variant: VariantOption) -> None:
    """Train the affinity network of a variant on confident CAM regions.

    Example: wsgcn affinity-train --variant I
    """
    params, artifacts = project("affinity-train")
    from wsgcn.affinity.stage import train_affinity_network
    from wsgcn.training.launched import trained_together

    chosen = params.variant(variant)
    with trained_together(params.runtime) as first:
        if first:
            with telling(artifacts.folder("affinity-train", variant), f"wsgcn affinity --variant {variant}"):
                train_affinity_network(params, artifacts, chosen)
            say_learned(artifacts, "affinity-train", variant)


@app.command()
def affinity(variant: VariantOption, shard: ShardOption = None) -> None:
    """Write the affinity graph and the node features of the training photographs.

    Example: wsgcn affinity --variant P
    """
    params, artifacts = project("affinity")
    from wsgcn.affinity.stage import write_affinity

    chosen = params.variant(variant)
    with telling(artifacts.folder("affinity", variant), f"wsgcn propagate --variant {variant}", shard):
        write_affinity(params, artifacts, chosen, shard)


@app.command()
def propagate(
    method: MethodOption = None,
    variant: MethodVariantOption = None,
    propagation: PropagationOption = None,
    shard: ShardOption = None,
) -> None:
    """Propagate: learn a GCN for each photograph, or walk at random.

    Example: wsgcn propagate --variant I --propagation random-walk
    """
    params, artifacts = project("propagate")
    from wsgcn.propagate.stage import write_scores
    from wsgcn.tracking.live import live_means

    chosen = find_method(params, method, variant, propagation)
    go_on = telling(artifacts.folder("propagate", chosen.name), f"wsgcn crf --method {chosen.name}", shard)
    # The stage as a whole shows the means of all photographs; those of a shard would take their place.
    with go_on, live_means(params, chosen, warn) if shard is None else nullcontext(_ignore) as log:
        write_scores(params, artifacts, chosen, log, shard)


def _ignore(metrics: Mapping[str, float], step: int) -> None:
    pass


@app.command()
def crf(
    method: MethodOption = None,
    variant: MethodVariantOption = None,
    propagation: PropagationOption = None,
    shard: ShardOption = None,
) -> None:
    """Refine the scores with a dense CRF into complete pseudo labels.

    Example: wsgcn crf --method WSGCN-I
    """
    params, artifacts = project("crf")
    from wsgcn.crf.stage import write_pseudo_labels

    chosen = find_method(params, method, variant, propagation)
    with telling(artifacts.folder("crf", chosen.name), f"wsgcn evaluate-labels --method {chosen.name}", shard):
        write_pseudo_labels(params, artifacts, chosen, shard)


@app.command("evaluate-labels")
def evaluate_labels(
    method: MethodOption = None,
    variant: MethodVariantOption = None,
    propagation: PropagationOption = None,
) -> None:
    """Score CAMs and pseudo labels against ground truth; no network is needed.

    Example: wsgcn evaluate-labels --method IRNet
    """
    params, artifacts = project()
    from wsgcn.evaluate import labels_stage
    from wsgcn.report.differences import difference_sentences, label_differences
    from wsgcn.tracking.complete import complete_run

    chosen = find_method(params, method, variant, propagation)
    with telling(artifacts.folder("evaluate-labels", chosen.name), f"wsgcn segtrain --method {chosen.name}"):
        labels_stage.evaluate_labels(params, artifacts, chosen, warn)
        complete_run(params, artifacts, chosen, warn, parts=["labels"])
    try:
        found = label_differences(params.all_methods(), artifacts, {})
    except DataError as error:  # of another method: this one's results are whole
        warn(str(error))
        return
    for sentence in difference_sentences(one for one in found if chosen.name in (one.first, one.second)):
        say(sentence)


@app.command()
def segtrain(
    method: MethodOption = None,
    variant: MethodVariantOption = None,
    propagation: PropagationOption = None,
) -> None:
    """Train DeepLabv2 on the pseudo labels.

    Example: wsgcn segtrain --method WSGCN-P
    """
    from wsgcn.segtrain.stage import train_segmentation
    from wsgcn.tracking.live import live
    from wsgcn.training.launched import trained_together

    params, artifacts = project()
    chosen = find_method(params, method, variant, propagation)
    go_on = telling(artifacts.folder("segtrain", chosen.name), f"wsgcn evaluate --method {chosen.name}")
    with trained_together(params.runtime) as first:
        if first:
            with go_on, live(params, chosen, warn) as log:
                train_segmentation(params, artifacts, chosen, log)
            say_learned(artifacts, "segtrain", chosen.name)


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
    """Score the segmentation network against ground truth.

    Example: wsgcn evaluate --method WSGCN-I
    """
    params, artifacts = project("evaluate")
    chosen = find_method(params, method, variant, propagation)
    if submission is not None:
        from wsgcn.evaluate.submission import write_submission

        count = write_submission(params, artifacts, chosen, split or "test", submission)
        say(f"{count} label maps of {chosen.name} are in {submission}.")
        return
    if split is not None:
        raise UsageError("--split goes with --submission; the lists that are scored are named in params.yaml")
    from wsgcn.evaluate.network_stage import evaluate_network
    from wsgcn.tracking.complete import complete_run

    with telling(artifacts.folder("evaluate", chosen.name), "wsgcn report"):
        evaluate_network(params, artifacts, chosen, warn)
        complete_run(params, artifacts, chosen, warn, parts=["network"])


@app.command()
def report() -> None:
    """Compare the methods: a table here, a page in artifacts/report, runs in MLflow.

    Example: wsgcn report
    """
    from wsgcn.report.differences import difference_metrics, label_differences
    from wsgcn.report.paper import LABELS_MAY_DIFFER, NETWORKS_MAY_DIFFER
    from wsgcn.report.stage import evaluated_methods, write_report
    from wsgcn.tracking.complete import add_numbers, complete_run
    from wsgcn.tracking.finished import differing_only_in, finished_runs

    params, artifacts = project()
    evaluated = evaluated_methods(params, artifacts)
    left_out = {method.name: complete_run(params, artifacts, method, warn) for method in evaluated}
    differences = label_differences(evaluated, artifacts, left_out)
    for method in evaluated:
        add_numbers(params, method, difference_metrics(differences, method.name), warn)
    runs = finished_runs(params, warn) if evaluated else []
    labels, networks = (differing_only_in(runs, params, one) for one in (LABELS_MAY_DIFFER, NETWORKS_MAY_DIFFER))
    Console().print(write_report(params, artifacts, labels, networks, left_out))
    say(f"Pictures and per-class tables: {artifacts.root / 'report' / 'index.html'}; compare runs with `mlflow ui`.")
