"""Finished work by fingerprint, outside of DVC's outputs, as a compiler keeps its objects.

DVC empties a stage's folder before it runs it. What was finished, by a stage that was killed or by an experiment with
these very parameters, code and inputs, is linked from here and not computed again. Several projects, shards of one job
or machines may share one folder: entries appear whole, and are checked before they are taken.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from wsgcn.errors import DataError
from wsgcn.store.files import read_mapping, write_json, write_text
from wsgcn.store.fingerprints import file_digest


class Note(NamedTuple):
    """What is noted of a finished file: its content's digest, and the seconds that it took."""

    digest: str
    seconds: float


@dataclass(frozen=True)
class FinishedWork:
    """A folder of finished files: ``<root>/<2 digits>/<fingerprint>`` and beside each its note, ``….json``."""

    root: Path

    def note(self, mark: str) -> Note | None:
        """What is noted of the file with this fingerprint; None where there is none."""
        try:
            note = Note(**read_mapping(self._note_path(mark)))
        except (DataError, TypeError, OSError):
            return None
        return note if isinstance(note.digest, str) and isinstance(note.seconds, int | float) else None

    def take(self, mark: str, target: Path) -> Note | None:
        """Link the file with this fingerprint to ``target``, which is replaced; None where there is no whole one."""
        source, note = self._path(mark), self.note(mark)
        try:
            if note is None or file_digest(source) != note.digest:
                return None
            _link(source, target)
            os.utime(self._note_path(mark))  # what is used stays longest
        except (DataError, OSError):  # it is gone, another process removes it now, or it is not ours to touch
            return None
        return note

    def keep(self, mark: str, source: Path, seconds: float) -> None:
        """Take a finished file in, by a link; a file of the same fingerprint is replaced.

        A folder that cannot be written costs a later run time, and this one nothing: the file is where it belongs.
        """
        with suppress(OSError):
            self._make()
            _link(source, self._path(mark))
            write_json(self._note_path(mark), Note(file_digest(source), seconds)._asdict())

    def shrink(self, gigabytes: float) -> int:
        """Remove files, those unused for longest first, until what only this folder keeps fits.

        A file that a stage's folder or DVC's cache links too takes no room of its own and stays.

        Args:
            gigabytes: of 10^9 bytes, the room that is left to it.

        Returns:
            Bytes that were freed.
        """
        paths = [path for path in self.root.glob("??/*") if not _is_leftover(path)]
        found = {path.with_suffix("") for path in paths if path.suffix != ".part"}  # by file or note
        files = sorted(found, key=_last_use)
        own = {path: size for path in files if (size := _own_bytes(path)) is not None}
        total = freed = sum(own.values())
        for path, size in own.items():
            if total <= gigabytes * 1e9:
                break
            path.with_suffix(".json").unlink(missing_ok=True)  # first: a file without its note counts as absent
            path.unlink(missing_ok=True)
            total -= size
        return freed - total

    def unfinished(self, mark: str) -> Path:
        """File for what will have this fingerprint and is in the making; it has no note, and may be removed."""
        with suppress(OSError):
            self._make()
        return self._path(f"{mark}-unfinished")

    def _make(self) -> None:
        if not self.root.exists():
            write_text(self.root / ".gitignore", "*\n")

    def _path(self, mark: str) -> Path:
        return self.root / mark[:2] / mark[2:]

    def _note_path(self, mark: str) -> Path:
        return self._path(mark).with_suffix(".json")


def _is_leftover(path: Path) -> bool:
    """Remove what a kill left half written a day ago or more; a younger one may be in the making."""
    with suppress(OSError):
        if path.suffix == ".part" and path.stat().st_mtime < time.time() - 86400:
            path.unlink()
            return True
    return False


def _last_use(path: Path) -> float:
    """When a finished file was taken last, by its note; a kill may have left it without."""
    for one in (path.with_suffix(".json"), path):
        with suppress(FileNotFoundError):
            return one.stat().st_mtime
    return 0


def _own_bytes(path: Path) -> int | None:
    """Room that removing a file would free; None where something else links it, 0 where it is gone."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return 0
    return status.st_size if status.st_nlink == 1 else None


def _link(source: Path, target: Path) -> None:
    """A hard link that appears at once in the place of what is there; a copy across file systems."""
    target.parent.mkdir(parents=True, exist_ok=True)
    made = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        try:
            os.link(source, made)
        except OSError:
            shutil.copyfile(source, made)
        os.replace(made, target)
    finally:
        made.unlink(missing_ok=True)  # renaming a link over another link of the same file leaves both
