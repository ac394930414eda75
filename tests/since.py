"""Times the trainings of preset voc12-mobile as they were at an earlier revision beside today's, in one run.

    python -m tests.since cb6163d --data VOC2012 --weights FILE

Both revisions train the same networks on the same photographs with the same batches and crops, through the commands of
their stages; the time of an update is the difference between a longer and a shorter training, over the difference in
length. Revisions take turns, and the median counts. The precision is each revision's own: on a processor that computes
bfloat16 it is part of what changed.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from tests.projects import ROOT

LENGTHS = (2, 10)
PHOTOGRAPHS = 48
METHOD = "IRNet"
TRAININGS = {
    "classifier": ["cams-train", "--variant", "I"],
    "boundary branch": ["affinity-train", "--variant", "I"],
    "AffinityNet": ["affinity-train", "--variant", "P"],
    "DeepLabv2": ["segtrain", "--method", METHOD],
}
ALIKE: dict[str, dict[str, object]] = {
    "batch": {"segtrain": 8},
    "crop": {"segtrain": 257},
    "scale": {"segtrain": "[0.5, 1.0]"},
    "frozen_stages": {"segtrain": 0},
    "aspp_dilations": {"segtrain": "[3, 6, 9, 12]"},
}
"""What today's preset has another value of, by section."""


class Project:
    """A project of one revision, whose package is in ``tree``."""

    def __init__(self, tree: Path, folder: Path, data: Path, weights: Path):
        self.tree, self.folder = tree, folder
        folder.mkdir()
        self._wsgcn("init", ".", "--preset", "voc12-mobile", "--data", str(data), "--weights", str(weights))
        self._shorten(data)
        self.set_length(LENGTHS[0], 0)
        for stage in (["dataset"], *([one, "--variant", name] for name in "IP" for one in ("cams-train", "cams"))):
            self.run(*stage)
        labels = folder / "artifacts" / "crf" / METHOD
        labels.mkdir(parents=True)
        for photo in (folder / "few" / "JPEGImages").iterdir():
            with Image.open(photo) as image:
                halves = np.zeros((image.height, image.width), np.uint8)
            halves[:, halves.shape[1] // 2 :] = 1
            Image.fromarray(halves).save(labels / f"{photo.stem}.png")

    def _shorten(self, data: Path) -> None:
        """A devkit of few photographs, and settings in which the revisions' presets differ made alike."""
        few, lists = self.folder / "few", Path("ImageSets") / "Segmentation"
        ids = {name: (data / lists / f"{name}.txt").read_text().split()[:PHOTOGRAPHS] for name in ("train", "val")}
        ids["trainaug"] = ids["train"]
        for name, suffix in (("JPEGImages", "jpg"), ("Annotations", "xml")):
            (few / name).mkdir(parents=True)
            for one in (*ids["train"], *ids["val"]):
                (few / name / f"{one}.{suffix}").symlink_to((data / name / f"{one}.{suffix}").absolute())
        (few / lists).mkdir(parents=True)
        for name, some in ids.items():
            (few / lists / f"{name}.txt").write_text("".join(f"{one}\n" for one in some))
        self._set(r"\n  root: [^\n]*", "\n  root: few")

    def set_length(self, updates: int, seed: int) -> None:
        """Let every training take so many updates, and draw anew."""
        self._set(r"\n( +)steps: (?!250)[^\n#]*", rf"\n\1steps: {updates} ")
        self._set(r"\n  seed: \d+", f"\n  seed: {seed}")
        for key, values in ALIKE.items():
            for section, value in values.items():
                self._set(rf"(\n{section}:\n(?:  [^\n]*\n)*?  {key}:) [^\n#]*", rf"\1 {value} ")

    def run(self, *words: str) -> float:
        """Seconds of a command."""
        start = time.perf_counter()
        self._wsgcn(*words)
        return time.perf_counter() - start

    def _set(self, pattern: str, value: str) -> None:
        path = self.folder / "params.yaml"
        path.write_text(re.sub(pattern, value, path.read_text()))

    def _wsgcn(self, *words: str) -> None:
        environment = os.environ | {"PYTHONPATH": str(self.tree)}  # the folder where this runs would come before it
        subprocess.run([sys.executable, "-m", "wsgcn", *words], cwd=self.folder, env=environment, check=True)


def seconds_an_update(project: Project, words: list[str], seed: int) -> float:
    """Of one training."""
    times = []
    for length in LENGTHS:
        project.set_length(length, seed)
        times.append(project.run(*words))
    return (times[1] - times[0]) / (LENGTHS[1] - LENGTHS[0])


def main() -> None:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("revision")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        before = Path(folder) / "before"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(before)], check=True)
        subprocess.run(["git", "checkout", "--quiet", asked.revision], cwd=before, check=True)
        given = asked.data.absolute(), asked.weights.absolute()
        projects = [Project(tree, Path(folder) / name, *given) for tree, name in ((before, "old"), (ROOT, "new"))]
        print(f"| training | {asked.revision}, s an update | now | ratio |\n|---|---|---|---|", flush=True)  # noqa: T201
        for name, words in TRAININGS.items():
            for one in projects:
                one.set_length(LENGTHS[0], 0)
                one.run(*words)  # what comes before a training, such as its seeds, is finished work from here on
            found = [[seconds_an_update(one, words, seed) for one in projects] for seed in range(1, asked.repeats + 1)]
            old, new = (median(values) for values in zip(*found))
            print(f"| {name} | {old:.2f} | {new:.2f} | {old / new:.1f} |", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
