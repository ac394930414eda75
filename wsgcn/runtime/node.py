"""What a machine of a cluster does with a chunk of images that another machine gives it."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsgcn.errors import DataError, UsageError, WsgcnError
from wsgcn.runtime.devices import threads
from wsgcn.runtime.memory import A_PHOTOGRAPHS, keep_freed_memory
from wsgcn.runtime.workers import Done, Outcome
from wsgcn.store.code import PACKAGE
from wsgcn.store.files import write_atomic
from wsgcn.store.fingerprints import DigestedFile, file_digest, read_fingerprint

if TYPE_CHECKING:
    from wsgcn.runtime.per_image import PerImage
    from wsgcn.store.index import ImageRecord

STOP = "stop"
"""Content of the mark once the work is to stop."""
COMPUTES = ("numpy", "pillow", "pydensecrf2", "scipy", "torch")
"""Packages whose version may change a bit of a result."""


@dataclass(frozen=True)
class Project:
    """The project as the machine has it that hands out the work.

    Attributes:
        folder: absolute.
        mark: path in it of a file that exists as long as the work goes on; empty until it is to stop.
        program: digest of the program.
    """

    folder: Path
    mark: Path
    program: str

    @classmethod
    def here(cls, mark: Path) -> Project:
        """The project in the working directory."""
        return cls(Path.cwd(), mark, program_digest())

    def enter(self) -> None:
        """Work in the project's folder.

        Raises:
            UsageError: this machine has none, or another program.
        """
        if program_digest() != self.program:
            raise UsageError(
                f"{platform.node()} has another version of wsgcn, or of {', '.join(COMPUTES)}, than the machine that "
                "hands out the work: install the same on all"
            )
        if not self.folder.is_dir():
            raise UsageError(
                f"{platform.node()} has no folder {self.folder}: let all machines see it there, or clone the project "
                "to this place and run `dvc pull` there"
            )
        os.chdir(self.folder)

    def stop(self) -> None:
        """Let every machine that sees the mark stop after the image that it is doing."""
        self.mark.write_text(STOP)

    def stopped(self) -> bool:
        """Whether the machine that hands out the work wants no more of it.

        Another command that begins the same stage removes the mark among the leftovers of a kill; that stops nothing.
        """
        try:
            return self.mark.read_text() == STOP
        except FileNotFoundError:
            return False


@dataclass(frozen=True)
class ImageDone:
    """What became of an image on another machine.

    Attributes:
        outcome: as the stage has it.
        file: content of its file, from a machine that does not see the project's folder.
        machine: its name.
    """

    outcome: Outcome
    file: bytes | None = None
    machine: str = ""

    def received(self, make: PerImage[Any], image: ImageRecord) -> Outcome:
        """The outcome here, once a file that came along is in its place and fits the inputs that are here."""
        if isinstance(self.outcome, WsgcnError) or self.file is None:
            return self.outcome
        path, content = make.path(image.id), self.file
        try:
            mark = make.mark(image)
        except WsgcnError as error:
            return error
        write_atomic(path, lambda file: file.write(content))
        if read_fingerprint(path) != mark:
            path.unlink()
            return DataError(f"{self.machine} made it of other files than are here: run `dvc pull` there")
        if self.outcome.seconds is not None:
            make.finished.keep(mark, path, self.outcome.seconds)
        return self.outcome


def do_chunk(given: tuple[PerImage[Any], Project], groups: Sequence[Sequence[ImageRecord]]) -> list[ImageDone]:
    """Do the images of a chunk, on one thread.

    Raises:
        UsageError: this machine has other code, no project, or other networks.
    """
    make, project = given
    project.enter()
    keep_freed_memory(A_PHOTOGRAPHS)
    shared = project.mark.exists()
    if not shared:
        _require_same_files(make)
    done: list[tuple[ImageRecord, Outcome]] = []
    with threads(1):
        for group in groups:
            if shared and project.stopped():
                break
            done += zip(group, make(group), strict=True)
    if shared:
        return [ImageDone(outcome) for _, outcome in done]
    return [_with_file(make, image, outcome) for image, outcome in done]


def _with_file(make: PerImage[Any], image: ImageRecord, outcome: Outcome) -> ImageDone:
    if not isinstance(outcome, Done):
        return ImageDone(outcome)
    return ImageDone(outcome, make.path(image.id).read_bytes(), platform.node())


def _require_same_files(make: PerImage[Any]) -> None:
    """The networks and whatever else all images need, whose digests came along, are those that are here."""
    for one in vars(make).values():
        if isinstance(one, DigestedFile) and one.digest and not _is_here(one):
            raise UsageError(f"{platform.node()} has another {one.path}, or none: run `dvc pull` there")


@cache
def _is_here(file: DigestedFile) -> bool:
    return DigestedFile.of(file.path) == file


@cache
def program_digest() -> str:
    """Digest of this installation: the package's sources, and the versions of what computes."""
    files = [f"{file_digest(path)} {path.relative_to(PACKAGE).as_posix()}" for path in sorted(PACKAGE.rglob("*.py"))]
    packages = [f"{name} {version(name)}" for name in COMPUTES]
    return hashlib.sha256("\n".join([*files, *packages]).encode()).hexdigest()
