"""Which photographs are worth a look: where two methods lie furthest apart, and what each does best and worst."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wsgcn.errors import DataError
from wsgcn.ops.iou import class_ious, mean_iou
from wsgcn.report.differences import AFTER, Counted, are_close, method_pairs, points
from wsgcn.report.pictures import Tiles
from wsgcn.report.table import MISSING, Cell, Table, percent
from wsgcn.store.label_maps import load_label_map
from wsgcn.store.paths import Artifacts

SHOWN = 3
"""Photographs of each choice."""

Draw = Callable[[str, Sequence[str]], Tiles]
"""Draws the labels of methods over a photograph."""


class Shot(NamedTuple):
    """A photograph that was chosen.

    Attributes:
        image_id: the photograph's.
        said: why it was chosen.
        captions: of its tiles, the photograph's first.
        tiles: its pictures; None where they could not be drawn.
        error: why not, else "".
    """

    image_id: str
    said: str
    captions: Sequence[str]
    tiles: Tiles | None
    error: str


class Choice(NamedTuple):
    """Photographs that were chosen for one reason, the clearest case first."""

    title: str
    shots: Sequence[Shot]


class Group(NamedTuple):
    """The choices of two methods, or of one."""

    title: str
    choices: Sequence[Choice]


Shares = Mapping[tuple[str, str], Mapping[str, tuple[int, int]]]
"""By names of two methods and photograph, its pixels with different labels, and all its pixels."""


def photograph_ious(counted: Counted) -> dict[str, float]:
    """Scores each photograph: mIoU of its labels after the CRF, in [0, 1], over the classes that it shows or was given.

    A photograph that shows no scored class and was given none has no mIoU; without ground truth none has one.
    """
    if AFTER not in counted.counts.steps:
        return {}
    by_photograph = zip(counted.counts.ids, counted.counts.steps[AFTER])
    return {one: float(mean_iou(counts)) for one, counts in by_photograph if not np.isnan(class_ious(counts)).all()}


def choose_photographs(counted: Sequence[Counted], different: Shares, draw: Draw) -> list[Group]:
    """The pairs of methods first, then each method for itself.

    Args:
        counted: the methods whose labels were evaluated.
        different: of :func:`label_disagreement`; used for two methods of which one is not scored.
        draw: of the tiles.
    """
    ious = {one.method.name: photograph_ious(one) for one in counted}
    groups = []
    for one, other in method_pairs(counted):
        if are_close(one.method, other.method):
            names = one.method.name, other.method.name
            if ious[names[0]] and ious[names[1]]:
                groups.append(_apart(names, ious, draw))
            else:
                groups.append(_different(names, different.get(names, {}), draw))
    groups += [_extremes(name, found, draw) for name, found in ious.items()]
    shown = [Group(group.title, [one for one in group.choices if one.shots]) for group in groups]
    return [group for group in shown if group.choices]


def _apart(names: tuple[str, str], ious: Mapping[str, Mapping[str, float]], draw: Draw) -> Group:
    first, second = (ious[name] for name in names)
    gains = {image_id: first[image_id] - second[image_id] for image_id in first if image_id in second}
    order = sorted(gains, key=lambda image_id: -gains[image_id])  # a stable sort: equals stay in order of id
    ahead = [one for one in order[:SHOWN] if gains[one] > 0]
    behind = [one for one in order[: -SHOWN - 1 : -1] if gains[one] < 0]
    choices = []
    for where, chosen in ((f"{names[0]} ahead", ahead), (f"{names[0]} behind", behind)):
        shots = [_scored(one, f"{points(gains[one])} points", names, ious, draw) for one in chosen]
        choices.append(Choice(where, shots))
    return Group(f"{names[0]} and {names[1]}, furthest apart", choices)


def _extremes(name: str, ious: Mapping[str, float], draw: Draw) -> Group:
    order = sorted(ious, key=lambda image_id: -ious[image_id])
    best, rest = order[:SHOWN], order[SHOWN:]
    chosen = (("best", best), ("worst", rest[: -SHOWN - 1 : -1]))
    choices = [Choice(title, [_scored(one, "", (name,), {name: ious}, draw) for one in ids]) for title, ids in chosen]
    return Group(f"{name}, best and worst", choices)


def _scored(
    image_id: str, said: str, names: Sequence[str], ious: Mapping[str, Mapping[str, float]], draw: Draw
) -> Shot:
    captions = ["photograph", *(f"{name} {percent(ious[name][image_id])}" for name in names)]
    return Shot(image_id, said, captions, *_drawn(image_id, names, draw))


def _different(names: tuple[str, str], pixels: Mapping[str, tuple[int, int]], draw: Draw) -> Group:
    shares = {image_id: count / total for image_id, (count, total) in pixels.items() if count}
    order = sorted(shares, key=lambda image_id: -shares[image_id])[: 2 * SHOWN]
    shots = [
        Shot(one, f"{percent(shares[one])} % of the pixels", ["photograph", *names], *_drawn(one, names, draw))
        for one in order
    ]
    return Group(f"{names[0]} and {names[1]}, furthest apart", [Choice("most different", shots)])


def _drawn(image_id: str, names: Sequence[str], draw: Draw) -> tuple[Tiles | None, str]:
    """One photograph that is gone must not cost the page: its place says why it is empty."""
    try:
        return draw(image_id, names), ""
    except DataError as error:
        return None, str(error)


# ---------------------------------------------------------------- without ground truth


def label_disagreement(counted: Sequence[Counted], artifacts: Artifacts) -> Shares:
    """Compare the labels after the CRF of every two methods, pixel by pixel; an unlabelled pixel is a label too.

    Photographs without both label maps are left out.

    Raises:
        DataError: a label map is broken, or two are of different sizes.
    """
    found: dict[tuple[str, str], dict[str, tuple[int, int]]] = {}
    for image_id in dict.fromkeys(image_id for one in counted for image_id in one.counts.ids):
        maps = _label_maps(counted, artifacts, image_id)
        for (one, labels), (other, others) in combinations(maps.items(), 2):
            if labels.shape != others.shape:
                raise DataError(f"labels of {image_id} have different sizes in {one} and {other}: run dvc repro")
            different = int(np.count_nonzero(labels != others))
            found.setdefault((one, other), {})[image_id] = different, labels.size
    return found


def _label_maps(counted: Sequence[Counted], artifacts: Artifacts, image_id: str) -> dict[str, NDArray[np.uint8]]:
    paths = {one.method.name: artifacts.label_map("crf", one.method.name, image_id) for one in counted}
    return {name: load_label_map(path) for name, path in paths.items() if path.exists()}


def agreement_table(names: Sequence[str], different: Shares) -> Table | None:
    """Pixels to which two methods give the same label, in percent, over all their photographs; None for no two."""
    if not different:
        return None
    both = {
        pair: (sum(d for d, _ in found.values()), sum(n for _, n in found.values()))
        for pair, found in different.items()
    }
    same = {pair: 1 - count / total for pair, (count, total) in both.items()}
    shown = [name for name in names if any(name in pair for pair in same)]

    def cell(one: str, other: str) -> Cell:
        value = same.get((one, other), same.get((other, one)))
        return Cell(MISSING if one == other else percent(value))

    rows = tuple((Cell(one), *(cell(one, other) for other in shown)) for one in shown)
    return Table("Agreement", ("Method", *shown), rows)


def photograph_table(groups: Sequence[Group]) -> Table | None:
    """The photographs that were chosen, as text."""
    rows = tuple(
        (
            Cell(f"{group.title}: {choice.title}"),
            Cell(shot.image_id),
            Cell("; ".join(filter(None, (shot.said, *shot.captions[1:])))),
        )
        for group in groups
        for choice in group.choices
        for shot in choice.shots
    )
    return Table("Photographs to look at", ("Choice", "Photograph", "What of it"), rows) if rows else None
