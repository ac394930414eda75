"""The template of a per-image stage: what is read, what decides the result, computing it, saving it."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from wsgcn.errors import WsgcnError
from wsgcn.runtime.cluster import Cluster
from wsgcn.runtime.memory import NO_NETWORK, NetworkMemory, worker_memory
from wsgcn.runtime.shard import Shard
from wsgcn.runtime.workers import Done, Outcome, map_images
from wsgcn.store.files import read_mapping, reading, remove_others, write_json
from wsgcn.store.fingerprints import fingerprint, read_fingerprint
from wsgcn.store.finished import FinishedWork
from wsgcn.store.index import ImageRecord, largest

Result = TypeVar("Result")


@dataclass(frozen=True)
class PerImage(ABC, Generic[Result]):
    """Makes one file of each image; picklable, so that worker processes can do it.

    A file that has the fingerprint of its code, settings and inputs already is left alone, one that was finished
    earlier is linked, and only what is left is computed.

    Attributes:
        folder: where the files go.
        code: digest of the code, by :func:`~wsgcn.store.code.code_version`.
        finished: where finished files are kept.
        suffix: of the files.
    """

    folder: Path
    code: str
    finished: FinishedWork

    suffix: ClassVar[str]

    @abstractmethod
    def inputs(self, image: ImageRecord) -> list[str]:
        """Digests or fingerprints of every file that is read for an image.

        Raises:
            DataError: a file is missing or broken.
        """

    @abstractmethod
    def settings(self, image: ImageRecord) -> object:
        """What else decides the result, as JSON knows it: parameters, classes, names that seed a random number."""

    @abstractmethod
    def compute(self, image: ImageRecord) -> Result:
        """Read what is needed and compute.

        Raises:
            WsgcnError: this image cannot be done; the others can.
        """

    @abstractmethod
    def save(self, path: Path, result: Result, mark: str) -> None:
        """Write a result with its fingerprint, whole or not at all."""

    def together(self, images: Sequence[ImageRecord]) -> list[list[ImageRecord]]:
        """The images in groups that :meth:`compute_together` is to do at once; each alone unless a kind says more."""
        return [[image] for image in images]

    def compute_together(self, images: Sequence[ImageRecord]) -> list[Result | WsgcnError]:
        """The result, or the error, of each image of a group."""
        return [self._compute(image) for image in images]

    def path(self, image_id: str) -> Path:
        """The file of an image."""
        return self.folder / f"{image_id}{self.suffix}"

    def mark(self, image: ImageRecord) -> str:
        """The fingerprint of the file that is to be made.

        Raises:
            DataError: an input is missing or broken.
        """
        settings = [self.settings(image), *([image.shrunk] if image.shrunk else [])]
        return fingerprint(self.code, settings, self.inputs(image))

    def __call__(self, images: Sequence[ImageRecord]) -> list[Outcome]:
        """Make the files of a group."""
        marks: dict[str, str] = {}
        outcomes: dict[str, Outcome] = {}
        for image in images:
            try:
                marks[image.id] = self.mark(image)
            except WsgcnError as error:
                outcomes[image.id] = error
                continue
            done = self._finished(image.id, marks[image.id])
            if done is not None:
                outcomes[image.id] = done
        outcomes |= self._make([image for image in images if image.id not in outcomes], marks)
        return [outcomes[image.id] for image in images]

    def _finished(self, image_id: str, mark: str) -> Done | None:
        path = self.path(image_id)
        if read_fingerprint(path) == mark:
            note = self.finished.note(mark)
            return Done(note and note.seconds)
        note = self.finished.take(mark, path)
        return note and Done(note.seconds)

    def _make(self, images: Sequence[ImageRecord], marks: Mapping[str, str]) -> dict[str, Outcome]:
        if not images:
            return {}
        start = time.perf_counter()
        results = self.compute_together(images)
        seconds = (time.perf_counter() - start) / len(images)
        outcomes: dict[str, Outcome] = {}
        for image, result in zip(images, results, strict=True):
            if isinstance(result, WsgcnError):
                outcomes[image.id] = result
                continue
            self.save(self.path(image.id), result, marks[image.id])
            self.finished.keep(marks[image.id], self.path(image.id), seconds)
            outcomes[image.id] = Done(seconds)
        return outcomes

    def _compute(self, image: ImageRecord) -> Result | WsgcnError:
        try:
            return self.compute(image)
        except WsgcnError as error:
            return error


def make_files(
    make: PerImage[Result],
    images: Sequence[ImageRecord],
    *,
    stage: str,
    label: str,
    workers: int,
    store_gb: float,
    summary: Path | None = None,
    finished: Callable[[str], None] | None = None,
    shard: Shard | None = None,
    cluster: Cluster | None = None,
    network: NetworkMemory = NO_NETWORK,
) -> None:
    """A per-image stage as a whole: leftovers go, missing files are made, a summary says how long an image took.

    A shard makes the files of its images and touches nothing else, as other shards may be at work in the same folders.
    The stage without one, run after them, finds these files and does the rest.

    Args:
        make: what is made.
        images: the images of the stage.
        stage: word of the stage, for the error.
        label: text before the progress bar.
        workers: processes, 0 = one a core, or as many as there is memory for.
        store_gb: room that is left to finished work, GB.
        summary: file for the number of images and the mean seconds an image.
        finished: called in this process with the id of each image that succeeded.
        shard: the part of the images that is done; None = all.
        cluster: what does the work instead of processes of this machine.
        network: what a network takes in each process.

    Raises:
        StageError: some images failed.
        UsageError: a worker process was killed, or the cluster cannot do it.
    """
    if shard is None:
        remove_others(make.folder, [make.path(image.id).name for image in images])
    groups = make.together(images if shard is None else shard.part(images))
    memory = worker_memory(*largest(images), network)
    if cluster is not None:
        seconds = cluster.map_images(make, groups, stage=stage, label=label, memory=memory, finished=finished)
    else:
        seconds = map_images(
            make,
            groups,
            stage=stage,
            label=label,
            workers=workers,
            memory=memory,
            preload=type(make).__module__,
            finished=finished,
        )
    if shard is not None:
        return
    make.finished.shrink(store_gb)
    if summary is not None and (seconds or not summary.exists()):
        # fsum: images come in any order, and restored ones must give the same bytes.
        mean = math.fsum(seconds.values()) / len(seconds) if seconds else None
        write_json(summary, {"images": len(images), "seconds_per_image": mean})


def seconds_per_image(summary: Path) -> float | None:
    """What :func:`make_files` noted; None where nobody knows.

    Raises:
        DataError: the file is missing or broken.
    """
    found = read_mapping(summary)
    with reading(summary, "is no summary of its stage", "delete it and run that stage again"):
        seconds = found["seconds_per_image"]
        return None if seconds is None else float(seconds)
