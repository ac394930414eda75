"""Splits a devkit's photographs into those that teach, those that choose settings, and those that confirm the choice.

    python -m tests.lists DEVKIT COPY

DEVKIT is a VOC2012 folder whose list ``train`` is what gets scored. COPY gets links to its folders, and lists of its
own, of ``trainaug`` without ``train``, sorted:

- ``choose`` and ``confirm``, two halves: of every four ids the first two and the last two. What is set by scores is set
  on ``choose`` alone, and scored once on ``confirm``.
- ``fit-choose`` and ``fit-confirm``, every other id of each half, for what must be scored on photographs that did not
  teach it; ``fit`` is the rest of ``trainaug``.

``tests/ids`` holds ``choose`` and ``confirm`` of the photographs of docs/results.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

LISTS = Path("ImageSets") / "Segmentation"


def split(trainaug: list[str], train: list[str]) -> dict[str, list[str]]:
    """The five lists by name, each sorted."""
    others = sorted({*trainaug} - {*train})
    choose, confirm = (sorted([*others[first::4], *others[first + 1 :: 4]]) for first in (0, 2))
    fit_choose, fit_confirm = choose[::2], confirm[::2]
    fit = sorted({*trainaug} - {*fit_choose, *fit_confirm})
    return {"choose": choose, "confirm": confirm, "fit-choose": fit_choose, "fit-confirm": fit_confirm, "fit": fit}


def main(devkit: Path, copy: Path) -> None:
    """Link the folders, copy the lists, and write the new ones."""
    (copy / LISTS).mkdir(parents=True)
    for folder in devkit.iterdir():
        if folder.name != "ImageSets":
            (copy / folder.name).symlink_to(folder.absolute())
    for file in (devkit / LISTS).iterdir():
        (copy / LISTS / file.name).write_text(file.read_text())
    trainaug, train = ((devkit / LISTS / f"{name}.txt").read_text().split() for name in ("trainaug", "train"))
    for name, ids in split(trainaug, train).items():
        (copy / LISTS / f"{name}.txt").write_text("".join(f"{one}\n" for one in ids))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
