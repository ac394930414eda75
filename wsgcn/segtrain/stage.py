"""Stage ``segtrain``: DeepLabv2, trained on the pseudo labels of one method."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from wsgcn.errors import DataError
from wsgcn.nets.base import freeze_stages
from wsgcn.nets.deeplab import NETWORK, DeepLabV2, build_deeplab
from wsgcn.runtime.progress import LogMetrics
from wsgcn.runtime.seeds import seeded
from wsgcn.sections import step_count
from wsgcn.stages import stage_code
from wsgcn.store.files import HISTORY, read_numbers
from wsgcn.store.finished import FinishedWork
from wsgcn.store.index import ImageRecord, load_index
from wsgcn.store.paths import in_project
from wsgcn.store.photos import photo_size
from wsgcn.training.descent import Step
from wsgcn.training.job import TrainingJob
from wsgcn.training.loop import Training, fabric_for, train

if TYPE_CHECKING:
    from wsgcn.methods import Method
    from wsgcn.params import Params
    from wsgcn.segtrain.base import SegmentationTraining
    from wsgcn.segtrain.fit import NetworkLoss
    from wsgcn.segtrain.sample import PseudoLabels
    from wsgcn.store.paths import Artifacts

LOG_EVERY = 10
"""Steps behind one row of the history."""


def train_segmentation(params: Params, artifacts: Artifacts, method: Method, log: LogMetrics) -> None:
    """Train on the training split's pseudo labels; write the checkpoint and the history when all is done.

    New weights and crops depend on the run's seed alone, so that methods are compared on equal terms; with
    ``weights: cams`` it starts as the variant's CAM source has it. An imported network (``trained``) is
    taken as it is, with an empty history.

    Args:
        params: the whole of ``params.yaml``.
        artifacts: where files lie.
        method: whose pseudo labels to learn.
        log: takes ``seg_loss`` (mean over the last ten steps) and ``seg_lr`` with the step, while training.

    Raises:
        DataError: a pseudo label or photograph is missing or broken, or the two differ in size, or the weights to
            start from are missing or another network's.
        UsageError: the device is not there, or the loss is no longer finite.
    """
    index, settings = load_index(artifacts.index), method.segtrain
    job = TrainingJob(
        index=index,
        images=index.split(params.dataset.train_split),
        runtime=params.runtime,
        finished=FinishedWork(in_project(params.runtime.store)),
        code=stage_code(params, "segtrain", method.name),
        checkpoint=artifacts.checkpoint(NETWORK, method.name),
        history=artifacts.history(NETWORK, method.name),
        learned=artifacts.learned(NETWORK, method.name),
        section=f"{NETWORK}.{method.segtrain_name}",
        label=f"segtrain {method.name}",
    )
    structure = network_structure(settings, len(index.class_names))
    if settings.trained is not None:
        job.take_imported(settings.trained, NETWORK, structure, build_deeplab(structure, None))
        return
    start = artifacts.checkpoint("cams-train", method.variant.name)
    labels = settings.teacher(artifacts.folder("crf", method.name), artifacts.folder("propagate", method.name))
    if labels is not None:
        _check_labels(job.images, artifacts, method)

    def learn(unfinished: Path) -> None:
        network = _new_network(structure, settings, params.runtime.seed)
        if settings.weights == "cams":
            method.variant.cams.start_segmentation(network, start)
        freeze_stages(network.backbone, settings.frozen_stages)
        training = _training(job, _objective(network, method, start, params.runtime.seed), settings, labels, unfinished)
        history = _History(log)
        trained = train(training, fabric_for(params.runtime), history.add)
        history.flush()
        job.save(NETWORK, structure, network, trained, history.rows)

    files = [] if settings.weights is None else [start if settings.weights == "cams" else Path(settings.weights)]
    taught = [path for image in job.images for path in labels.files(image.id)] if labels is not None else []
    numbers = {"name": NETWORK, "structure": structure, **settings.fingerprinted()}
    mark = job.fingerprint(numbers, [*files, *taught])
    if not job.train_once(mark, learn):
        _show_again(job.history, log)


def network_structure(params: SegmentationTraining, classes: int) -> dict[str, Any]:
    """What decides the network's structure, to be kept in the checkpoint."""
    return {
        "backbone": params.backbone,
        "output_stride": params.output_stride,
        "classes": classes,
        "dilations": list(params.aspp_dilations),
    }


def _objective(network: DeepLabV2, method: Method, start: Path, run_seed: int) -> NetworkLoss:
    with seeded(run_seed, NETWORK, "objective"):
        loss = method.segtrain.objective(network)
    classifier = loss.classification_layer()
    if method.segtrain.weights == "cams" and classifier is not None:
        method.variant.cams.start_classifier(classifier, start)
    return loss


def _training(
    job: TrainingJob, loss: NetworkLoss, params: SegmentationTraining, labels: PseudoLabels | None, unfinished: Path
) -> Training[ImageRecord]:
    return Training(
        loss=loss,
        items={image.id: image for image in job.images},
        sample=params.sample(job.index, labels, loss.network.backbone.to_input),
        params=params,
        steps=step_count(params.steps, len(job.images), params.batch * params.accumulate),
        accumulate=params.accumulate,
        run_seed=job.runtime.seed,
        name=NETWORK,
        label=job.label,
        section=job.section,
        unfinished=unfinished,
        check=params.check,
    )


def _check_labels(images: Iterable[ImageRecord], artifacts: Artifacts, method: Method) -> None:
    """Look at every pseudo label's header before an hour of training rather than in the middle of it."""
    paths = {image: artifacts.label_map("crf", method.name, image.id) for image in images}
    missing = [path for path in paths.values() if not path.is_file()]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(paths)} pseudo labels are missing, such as {missing[0]}: "
            f"run `wsgcn crf --method {method.name}`"
        )
    for image, path in paths.items():
        if photo_size(path) != image.size:
            height, width = photo_size(path)
            raise DataError(
                f"{path} has {height} x {width} pixels, its photograph {image.height} x {image.width}: "
                "delete it and run `wsgcn crf` again"
            )


def _new_network(structure: Mapping[str, Any], params: SegmentationTraining, run_seed: int) -> DeepLabV2:
    with seeded(run_seed, NETWORK):
        return build_deeplab(structure, None if params.weights == "cams" else params.weights)


def _show_again(history: Path, log: LogMetrics) -> None:
    """Give the curve of a finished network to MLflow, which takes what a kill may have kept from it."""
    rows = read_numbers(history, HISTORY)
    for step, loss, lr in zip(*(rows[name] for name in HISTORY), strict=True):
        log({"seg_loss": loss, "seg_lr": lr}, int(step))


class _History:
    """A row for every ten updates: how many there were so far, their mean loss and the last one's rate."""

    def __init__(self, log: LogMetrics):
        self.log = log
        self.rows: list[tuple[int, float, float]] = []
        self._steps: list[Step] = []

    def add(self, step: Step) -> None:
        self._steps.append(step)
        if (step.number + 1) % LOG_EVERY == 0:
            self.flush()

    def flush(self) -> None:
        """Write what is left into a row of its own: a training may end at any update."""
        if self._steps:
            done, loss, lr = self._steps[-1].number + 1, fmean(one.loss for one in self._steps), self._steps[-1].lr
            self._steps.clear()
            self.log({"seg_loss": loss, "seg_lr": lr}, done)
            self.rows.append((done, loss, lr))
