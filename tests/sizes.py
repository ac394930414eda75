"""Labels of a preset on data sets of several sizes: does it hold for few photographs as for many?

    python -m tests.sizes VOC2012 weights.pth FOLDER --size 60 --size 150 --size 450 --size 1000

Each size gets a project in FOLDER with so many photographs of the list ``trainaug``, a larger one all those of a
smaller one, which are trained on by their tags and then scored by the masks of SegmentationClassAug; the first round
alone. Prints how well each network does on photographs that did not train it, and the scores of every method.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from pathlib import Path

import yaml

from tests import chain
from tests.conftest import ROOT, changed
from tests.rows import values
from wsgcn.params import Params
from wsgcn.store.files import read_json
from wsgcn.store.paths import Artifacts

STAGES = (*chain.UP_TO_CRF, "evaluate-labels")
CLASSES = ("background", "cat", "cow", "dog", "horse", "person", "sheep")
"""Those of which the photographs in shared/data show enough."""


def subset(devkit: Path, size: int, seed: int) -> list[str]:
    """So many ids of ``trainaug``, in one order for all sizes."""
    ids = sorted((devkit / "ImageSets/Segmentation/trainaug.txt").read_text().split())
    random.Random(seed).shuffle(ids)
    return sorted(ids[:size])


def make_project(folder: Path, devkit: Path, weights: Path, size: int, seed: int, others: dict[str, object]) -> Params:
    """A project with a list ``trainaug`` of its own."""
    lists = folder / "VOC2012" / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True, exist_ok=True)
    for one in devkit.iterdir():
        link = folder / "VOC2012" / one.name
        if one.name != "ImageSets" and not link.exists():
            link.symlink_to(one.absolute())
    (lists / "trainaug.txt").write_text("\n".join(subset(devkit, size, seed)) + "\n")
    (lists / "val.txt").write_text((devkit / "ImageSets/Segmentation/val.txt").read_text())
    content = yaml.safe_load((ROOT / "wsgcn/presets/voc12-mobile.yaml").read_text())
    content["dataset"] |= {"root": str(folder / "VOC2012"), "score_split": "trainaug"}
    content["evaluate"] |= {"masks": str(folder / "VOC2012/SegmentationClassAug"), "classes": list(CLASSES)}
    content["cams"]["mobile"]["train"]["weights"] = str(weights.absolute())
    first = {name for name, one in content["variants"].items() if one["after"] == "dataset/index.json"}
    content["variants"] = {name: content["variants"][name] for name in first}
    content["methods"] = {name: one for name, one in content["methods"].items() if one["variant"] in first}
    return changed(chain.write_params(folder, content), others)


def main() -> None:
    """Make, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("devkit", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", action="append", type=int, required=True)
    parser.add_argument("--lists-seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    asked = parser.parse_args()
    devkit, weights, home = asked.devkit.absolute(), asked.weights.absolute(), asked.folder.absolute()
    for size in asked.size:
        folder = home / str(size)
        params = make_project(folder, devkit, weights, size, asked.lists_seed, values(asked.set))
        os.chdir(folder)
        artifacts = Artifacts()
        chain.run_stages(STAGES, params, artifacts)
        for stage in ("cams-train", "affinity-train"):
            for name in params.variants:
                sys.stdout.write(f"{size} {stage} {name}: {read_json(artifacts.learned(stage, name))}\n")
        for name in params.methods:
            scores = read_json(artifacts.scores("evaluate-labels", name))
            row = " / ".join(f"{100 * scores[one]:.1f}" for one in ("cam_miou", "pseudo_miou", "pseudo_miou_crf"))
            sys.stdout.write(f"{size} {name}: {row}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
