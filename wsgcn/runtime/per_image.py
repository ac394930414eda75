"""The template of a per-image stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wsgcn.runtime.workers import Image, map_images
from wsgcn.store.fingerprints import remove_others, write_summary
from wsgcn.store.paths import Artifacts


def make_files(
    work: Callable[[Image], bool],
    images: Sequence[Image],
    *,
    artifacts: Artifacts,
    stage: str,
    name: str,
    suffix: str,
    workers: int,
    finished: Callable[[str], None] | None = None,
    groups: Sequence[Sequence[Image]] | None = None,
) -> None:
    """A per-image stage as a whole: leftovers go, missing files are made, the summary says how long an image took.

    Args:
        work: as of :func:`map_images`; makes ``<id><suffix>`` in the stage's folder.
        images: the images of the stage.
        artifacts: where files lie.
        stage: word of the stage.
        name: its variant or method.
        suffix: of each image's file, with the dot.
        workers: as of :func:`map_images`.
        finished: as of :func:`map_images`.
        groups: as of :func:`map_images`.

    Raises:
        StageError: some images failed.
        UsageError: a worker process was killed.
    """
    remove_others(artifacts.folder(stage, name), [f"{image.id}{suffix}" for image in images])
    label = f"{stage} {name}"
    seconds = map_images(work, images, stage=stage, label=label, workers=workers, finished=finished, groups=groups)
    write_summary(artifacts.summary(stage, name), len(images), seconds)
