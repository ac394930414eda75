"""Makes a folder of photographs as people have them, from VOC's: odd names, several formats, a CSV of tags.

    python -m tests.own_photographs VOC2012 FOLDER --count 60
    python -m tests.own_photographs VOC2012 FOLDER --count 60 --folders

It holds as many photographs of ``trainaug``, ten a class in turn, of those that show cats, cows, dogs, horses, people
or sheep and nothing else; with ``--folders`` of those that show one class, in one folder a class and without a CSV.
"""

from __future__ import annotations

import argparse
import csv
import xml.etree.ElementTree as ET
from itertools import cycle
from pathlib import Path

from PIL import Image

CLASSES = ("cat", "cow", "dog", "horse", "person", "sheep")
NAMES = ("{}.jpg", "{}.JPG", "Foto {}.jpeg", "Bärbel {}.png", "{} (copy).webp", "été-{}.tif")


def shown(root: Path, image_id: str) -> tuple[str, ...]:
    """Classes of an annotation, each once."""
    tree = ET.parse(root / "Annotations" / f"{image_id}.xml")
    return tuple(sorted({one.findtext("name", "") for one in tree.findall("object")}))


def choose(root: Path, count: int, single: bool) -> dict[str, tuple[str, ...]]:
    """Ids with their classes: one of each class in turn, so that all are there alike."""
    ids = (root / "ImageSets/Segmentation/trainaug.txt").read_text().split()
    labels = {one: shown(root, one) for one in ids}
    waiting = {name: [one for one in ids if name in labels[one] and {*labels[one]} <= {*CLASSES}] for name in CLASSES}
    chosen: dict[str, tuple[str, ...]] = {}
    for name in cycle(CLASSES):
        if len(chosen) == count or not any(waiting.values()):
            return chosen
        new = [one for one in waiting[name] if one not in chosen and not (single and len(labels[one]) > 1)]
        waiting[name] = new[1:]
        chosen.update({one: labels[one] for one in new[:1]})
    return chosen


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--folders", action="store_true")
    asked = parser.parse_args()
    rows = []
    for (image_id, labels), name in zip(choose(asked.root, asked.count, asked.folders).items(), cycle(NAMES)):
        path = (asked.folder / labels[0] if asked.folders else asked.folder) / name.format(image_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(asked.root / "JPEGImages" / f"{image_id}.jpg") as photo:
            photo.save(path)
        rows.append((path.name, ";".join(labels)))
    if not asked.folders:
        with (asked.folder / "tags.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("image", "labels"), *rows])


if __name__ == "__main__":
    main()
