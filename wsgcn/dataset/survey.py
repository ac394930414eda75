"""What ``wsgcn init --images`` looks at before it makes a project of somebody's own photographs."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from wsgcn.dataset.findings import (
    SCORE,
    TRAIN,
    VAL,
    Finding,
    Look,
    of_classes,
    of_copies,
    of_masks,
    of_own_splits,
    of_photographs,
    of_splits,
)
from wsgcn.dataset.tags import IMAGE, LABELS, Tags, labelled_by_folder, read_tags, tables_inside
from wsgcn.errors import DataError
from wsgcn.store.fingerprints import file_digest
from wsgcn.store.photos import find_photographs, load_photo, photo_turned

VAL_SHARE = 0.1
"""Of the photographs of each class."""


@dataclass(frozen=True)
class Survey:
    """Photographs that a project can be made of, and all that was found on the way.

    Attributes:
        photographs: with labels and splits, in order of their paths.
        classes: their names, background first.
        scored: the list whose pseudo labels are scored.
        findings: lines of the table.
    """

    photographs: tuple[Tags, ...]
    classes: tuple[str, ...]
    scored: str
    findings: tuple[Finding, ...]

    @property
    def problems(self) -> list[str]:
        """What stops, a line each."""
        return [f"{one.what} ({one.count}): {one.note}" for one in self.findings if one.stops]


def survey(root: Path, table: Path | None, masks: Path | None, background: str, seed: int) -> Survey:
    """Look at every photograph and every tag.

    Args:
        root: folder of the photographs.
        table: CSV with the columns ``image`` and ``labels``; None = the one inside ``root``, or one folder a class.
        masks: folder with ``<id>.png`` of some photographs or all; None = there are none.
        background: name that no class may have.
        seed: of the validation split.

    Raises:
        DataError: there are no photographs, or the table cannot be read.
    """
    found = find_photographs(root)
    tagged = _tags(root, table, found)
    looks = _look_at_all(root, found)
    labelled = [one for one in tagged if one.labels]
    usable = [one for one in labelled if one.image in found and not looks[one.image].problem]
    masked = {one.image for one in usable if masks is not None and (masks / f"{one.id}.png").is_file()}
    copies = _copies({one.image: looks[one.image].digest for one in usable})
    photographs = _split(usable, copies, masked, seed)
    scored = SCORE if masked else TRAIN
    names = sorted({name for one in labelled for name in one.labels}, key=lambda name: (name.casefold(), name))
    findings = [
        *of_photographs(tagged, looks),
        *of_classes(usable, names, background),
        *of_own_splits(tagged),
        *of_copies(usable, copies),
        *of_masks(masks, len(masked), len(usable)),
        *of_splits(photographs, scored),
    ]
    return Survey(photographs, (background, *names), scored, tuple(findings))


def _tags(root: Path, table: Path | None, found: Mapping[str, str]) -> list[Tags]:
    """Tags by a table or by folders, in order of the paths."""
    if table is None:
        inside = tables_inside(root)
        if len(inside) > 1:
            raise DataError(f"{root} holds {' and '.join(one.name for one in inside)}: name one of them with --labels")
        table = inside[0] if inside else None
    if table is None:
        tagged = labelled_by_folder([*found])
        if not any(one.labels for one in tagged):
            raise DataError(
                f"{root} holds no CSV file and no folder a class: write one with the columns {IMAGE},{LABELS} and name "
                "it with --labels, or sort the photographs into folders"
            )
        return tagged
    return sorted(read_tags(table, IMAGE, LABELS), key=lambda one: one.image)


def _look_at_all(root: Path, found: Mapping[str, str]) -> dict[str, Look]:
    """Every photograph is decoded: a header alone does not tell that the rest is there."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(found, pool.map(lambda photo: _look(root / photo), found.values())))


def _look(path: Path) -> Look:
    try:
        height, width, _ = load_photo(path).shape
        return Look("", (height, width), photo_turned(path), file_digest(path))
    except DataError as error:
        return Look(str(error))


def _copies(digests: Mapping[str, str]) -> dict[str, str]:
    """The first photograph of the same content, for each that is there twice."""
    first: dict[str, str] = {}
    return {image: first[digest] for image, digest in digests.items() if first.setdefault(digest, image) != image}


def _split(usable: Sequence[Tags], copies: Mapping[str, str], masked: set[str], seed: int) -> tuple[Tags, ...]:
    """A tenth of every class for validation, in an order that follows from the seed and the names alone.

    Copies of a photograph go where it goes. Where there are masks, only photographs with one are taken and scored.
    """
    twice = {*copies, *copies.values()}
    candidates = [one for one in usable if one.image not in twice and (not masked or one.image in masked)]
    candidates.sort(key=lambda one: hashlib.sha256(f"{seed} {one.image}".encode()).digest())
    totals = Counter(name for one in usable if not masked or one.image in masked for name in one.labels)
    left = {name: int(VAL_SHARE * total) for name, total in totals.items()}
    chosen = set()
    for one in candidates:
        if all(left[name] for name in one.labels):
            chosen.add(one.image)
            left.update({name: left[name] - 1 for name in one.labels})
    spare = [one.image for one in candidates if all(totals[name] > 1 for name in one.labels)]
    chosen = chosen or {*spare[:1]}  # of few photographs one, whose classes others show too
    return tuple(replace(one, splits=_lists(one, chosen, masked)) for one in usable)


def _lists(one: Tags, chosen: set[str], masked: set[str]) -> tuple[str, ...]:
    if one.image in chosen:
        return (VAL,)
    return (TRAIN, SCORE) if one.image in masked else (TRAIN,)
