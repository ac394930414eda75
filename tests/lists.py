"""Splits a devkit's photographs into those that teach, those that choose settings, and those that confirm the choice.

    python -m tests.lists DEVKIT COPY

DEVKIT is a VOC2012 folder whose list ``train`` is what gets scored. COPY gets links to its folders, and lists of its
own: of ``trainaug`` without ``train``, sorted, every fourth id goes into ``choose``, every fourth from the third on
into ``confirm``; ``fit`` is the rest of ``trainaug``. What docs/results.md calls chosen was chosen on ``choose``.
"""

from __future__ import annotations

import sys
from pathlib import Path

LISTS = Path("ImageSets") / "Segmentation"


def split(trainaug: list[str], train: list[str]) -> dict[str, list[str]]:
    """The three lists by name, each sorted."""
    others = sorted(set(trainaug) - set(train))
    choose, confirm = others[::4], others[2::4]
    return {"choose": choose, "confirm": confirm, "fit": sorted({*trainaug} - {*choose, *confirm})}


def main(devkit: Path, copy: Path) -> None:
    """Link the folders, copy the lists, and write the three new ones."""
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
