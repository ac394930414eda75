"""The lines of a survey's table: what was found among somebody's photographs and tags, and what follows from it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from wsgcn.dataset.tags import SEPARATOR, Tags
from wsgcn.store.devkit import is_name

TRAIN, SCORE, VAL = "train", "score", "val"
"""Lists of a project: what teaches, what of it is scored, and what nothing learns from."""
FEW = 10
"""Photographs of a class below which not much is learned of it."""
MOST_CLASSES = 254
"""Besides the background: a label map has a byte a pixel, and 255 means unlabelled."""
SHOWN = 3
"""Examples in a note."""


@dataclass(frozen=True)
class Look:
    """What a photograph's file tells.

    Attributes:
        problem: why it cannot be used; "" where it can.
        size: rows and columns of the upright photograph.
        turned: its EXIF data ask for a rotation.
        digest: of the file.
    """

    problem: str
    size: tuple[int, int] = (0, 0)
    turned: bool = False
    digest: str = ""


@dataclass(frozen=True)
class Finding:
    """A line of the survey's table.

    Attributes:
        what: was counted.
        count: how often it was found, or what was found.
        note: what follows from it, with examples.
        stops: no project can be made before it is mended.
    """

    what: str
    count: str
    note: str = ""
    stops: bool = False


def _some(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    listed = [*names]
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return ", ".join(listed[:SHOWN]) + more


def _found(what: str, names: Sequence[str], note: str, stops: bool = False) -> Iterator[Finding]:
    """A line with examples, where there are any."""
    if names:
        yield Finding(what, str(len(names)), f"{note}: {_some(names)}", stops)


def findings_table(findings: Iterable[Finding]) -> Table:
    """A table of what was found, what stops in red."""
    table = Table("what", "found", "note", title_justify="left", show_edge=False, pad_edge=False)
    table.columns[1].justify = "right"
    for one in findings:
        table.add_row(*map(escape, (one.what, one.count, one.note)), style="red" if one.stops else None)
    return table


def of_photographs(tagged: Sequence[Tags], looks: Mapping[str, Look]) -> Iterator[Finding]:
    """Files and tags that belong together, and those that do not."""
    named = {one.image for one in tagged}
    bare = [one.image for one in tagged if not one.labels] + [image for image in looks if image not in named]
    good = [one for one in looks.values() if not one.problem]
    yield Finding("photographs", str(len(looks)))
    if good:
        by_area = sorted({one.size for one in good}, key=lambda size: (size[0] * size[1], size))
        sizes = " to ".join(f"{width} x {height}" for height, width in dict.fromkeys((by_area[0], by_area[-1])))
        yield Finding("sizes", sizes, "width x height in pixels")
    turned = [image for image, one in looks.items() if one.turned]
    yield from _found("rotated by EXIF", turned, "turned upright by every stage; masks must be upright too")
    yield from _found("without a tag", [one for one in bare if one in looks], "left out")
    missing = [one.image for one in tagged if one.image not in looks]
    yield from _found("tags without a photograph", missing, "mend the names, or take the lines out", stops=True)
    broken = [looks[one.image].problem for one in tagged if one.image in looks and looks[one.image].problem]
    yield from _found("unreadable", broken, "replace or remove them", stops=True)
    ids = Counter(one.id for one in tagged)
    same = [one.image for one in tagged if ids[one.id] > 1]
    yield from _found("names alike but for suffix or folders", same, "rename them", stops=True)
    odd = [repr(one.image) for one in tagged if not is_name(one.id)]
    yield from _found("names that no file can have everywhere", odd, "rename them", stops=True)


def of_classes(usable: Sequence[Tags], names: Sequence[str], background: str) -> Iterator[Finding]:
    """Classes: how many, how often, and which names look alike."""
    counts = Counter(name for one in usable for name in one.labels)
    yield Finding("classes", str(len(names)), ", ".join(f"{name} ({counts[name]})" for name in names))
    few = [f"{name} ({counts[name]})" for name in names if counts[name] < FEW]
    yield from _found(f"classes with fewer than {FEW} photographs", few, "little is learned of them; add some")
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(re.sub(r"[\W_]+", "", name.casefold()), []).append(name)
    pairs = [" / ".join(f"{name} ({counts[name]})" for name in one) for one in alike.values() if len(one) > 1]
    yield from _found("classes with almost the same name", pairs, "write one of them everywhere", stops=True)
    parted = [name for name in names if SEPARATOR in name]
    yield from _found(
        f"classes with {SEPARATOR!r} in their name", parted, "it separates labels; rename them", stops=True
    )
    taken = [name for name in names if name == background]
    yield from _found("a class with a name of ours", taken, "what shows no class is called so; rename it", stops=True)
    if len(names) > MOST_CLASSES:
        yield Finding("too many classes", str(len(names)), f"{MOST_CLASSES} are possible; merge some", stops=True)


def of_copies(usable: Sequence[Tags], copies: Mapping[str, str]) -> Iterator[Finding]:
    """Files of the same content: with the same labels they count twice, with others they contradict each other."""
    labels = {one.image: {*one.labels} for one in usable}
    pairs = {f"{image} = {first}": labels[image] == labels[first] for image, first in copies.items()}
    same, other = ([pair for pair, equal in pairs.items() if equal is wanted] for wanted in (True, False))
    yield from _found("copies", same, "each counts; they never come into the validation list")
    note = f"keep one, in a CSV with all its labels, separated by {SEPARATOR!r}"
    yield from _found("copies with other labels", other, note, stops=True)


def of_masks(folder: Path | None, masked: int, usable: int) -> Iterator[Finding]:
    """How much of the dataset can be scored."""
    if folder is None:
        yield Finding("masks", "none", "nothing is scored; coverage, agreement and pictures are shown all the same")
    elif not masked:
        yield Finding("masks", "0", f"{folder} holds no <id>.png of these photographs", stops=True)
    else:
        yield Finding("masks", f"{masked} of {usable}", "photographs that have one are scored")


def of_own_splits(tagged: Sequence[Tags]) -> Iterator[Finding]:
    """Lists that the table of tags has already."""
    given = [one.image for one in tagged if one.splits]
    yield from _found("with lists in the table", given, "left out, as new ones are drawn; change photographs.csv then")


def of_splits(photographs: Sequence[Tags], scored: str) -> Iterator[Finding]:
    """The lists."""
    counts = Counter(split for one in photographs for split in one.splits)
    notes = {TRAIN: "get pseudo labels and teach every network", VAL: "no network sees them before it is evaluated"}
    if scored != TRAIN:
        notes[scored] = "of those for training, whose pseudo labels are scored"
    for split, note in notes.items():
        if counts[split]:
            yield Finding(f"list {split}", str(counts[split]), note)
        else:
            advice = "add photographs, or masks, so that each class is on several"
            yield Finding(f"no photograph for list {split}", "0", f"{note}; {advice}", stops=True)
