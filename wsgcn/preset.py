"""What a preset becomes in a project: the texts of ``params.yaml`` and ``dvc.yaml``, with the user's paths in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from wsgcn.errors import UsageError
from wsgcn.vocabulary import IN_PACKAGE, PRESET_FOLDER

PRESETS = ("demo", "voc12", "voc12-mobile")
OWN_PRESET = "voc12-mobile"
"""The preset of own photographs where none is named."""
NO_MASKS = "masks"
"""Folder of a project for masks, where the dataset has none: DVC wants what a stage depends on to be there."""
VOC_CLASSES = 20
"""For which the presets' rates were chosen, the background apart."""
TABLE = "photographs.csv"
"""File of a project of own photographs: which there are, their labels and their lists."""

PHOTOGRAPHS = Path("data/photographs")
"""Folder of a project for copies of own photographs."""


@dataclass(frozen=True)
class OwnPhotographs:
    """Somebody's own photographs, as ``params.yaml`` names them.

    Attributes:
        root: folder that holds them; relative = in the project.
        name: what reports and MLflow call them.
        classes: their names, background first.
        scored: the list whose pseudo labels are scored.
        masks: folder of masks; None where there are none.
        table: content of :data:`TABLE`.
        copies: files to copy into ``root``, by their paths there; none where the photographs stay where they are.
    """

    root: Path
    name: str
    classes: Sequence[str]
    scored: str
    masks: Path | None
    table: str
    copies: Mapping[str, Path]


def params_text(preset: str, data: Path | OwnPhotographs | None, weights: Path | None) -> str:
    """The content of ``params.yaml`` for a preset, with the user's paths in it.

    Args:
        preset: one of :data:`PRESETS`.
        data: folder of the dataset, ``VOC2012`` itself or what holds ``VOCdevkit/VOC2012``, or own photographs; None
            keeps the preset's.
        weights: file of ImageNet weights for the preset's backbones; None keeps the preset's.

    Raises:
        UsageError: the data or the weights are not there, or the preset has no place for them.
    """
    lines = (PRESET_FOLDER / f"{preset}.yaml").read_text().splitlines(keepends=True)
    if data is not None:
        if preset == "demo":
            raise UsageError("the preset demo makes its own photographs: choose another --preset for yours")
        lines = _with_own(lines, data) if isinstance(data, OwnPhotographs) else _with_devkit(lines, data)
    if weights is not None:
        if not weights.is_file():
            raise UsageError(f"{weights} is missing: --weights names a file of published ImageNet weights")
        if preset == "voc12":
            raise UsageError(
                "--weights does not go with the preset voc12, which starts from several files: "
                "make them with `wsgcn weights import`, params.yaml names them"
            )
        before, lines = lines, _replace(lines, "weights: ", str(weights.resolve()))
        if lines == before:
            raise UsageError(f"--weights does not go with the preset {preset}, which brings its own")
    return "".join(lines)


def preset_seed(preset: str) -> int:
    """The seed of a preset's runs, from which the validation list of own photographs follows too."""
    return int(yaml.safe_load((PRESET_FOLDER / f"{preset}.yaml").read_text())["runtime"]["seed"])


def pipeline_text(preset: str) -> str:
    """The content of ``dvc.yaml`` for a preset: only its dataset stage depends on where pictures come from."""
    first = "dataset-made.yaml" if preset == "demo" else "dataset-raw.yaml"
    return (PRESET_FOLDER / first).read_text() + (PRESET_FOLDER / "stages.yaml").read_text()


def weight_files(content: Any) -> Iterator[tuple[str, str | None]]:
    """Every file that a key ``weights`` or ``trained`` names, with the backbone that starts from it, if one does."""
    if isinstance(content, dict):
        for key, value in content.items():
            if key in ("weights", "trained") and isinstance(value, str):
                if value != "cams" and not value.startswith(IN_PACKAGE):
                    yield value, content.get("backbone") if key == "weights" else None
            else:
                yield from weight_files(value)


def _with_devkit(lines: list[str], data: Path) -> list[str]:
    root = _devkit(data)
    masks = root / "SegmentationClass"
    return _replace(_replace(lines, "  root: ", str(root)), "  masks: ", str(masks) if masks.is_dir() else NO_MASKS)


def _with_own(lines: list[str], own: OwnPhotographs) -> list[str]:
    """Sections ``dataset`` and ``evaluate`` of own photographs; everything else is the preset's."""
    classes = json.dumps(list(own.classes), ensure_ascii=False)
    start = next(number for number, line in enumerate(lines) if line.startswith("dataset:"))
    end = next(number for number in range(start, len(lines)) if not lines[number].strip())
    dataset = f"""\
dataset:
  kind: tagged # any folder of photographs, with a table of their labels
  name: {json.dumps(own.name, ensure_ascii=False)} # what reports and MLflow call it
  root: {json.dumps(str(own.root), ensure_ascii=False)} # folder of the photographs
  table: {TABLE} # image: path below root; labels and splits: separated by ;
  classes: {classes} # names by id, background first
  train_split: train # photographs that get pseudo labels and train every network
  score_split: {own.scored} # photographs whose pseudo labels are scored
  val_split: val # photographs that no network sees before it is evaluated
  max_megapixels: 64 # a larger photograph is refused: up to here a process takes 2 GB
  work_megapixels: 1 # a larger photograph is shrunk to these for networks and CRFs; its labels have its own size
"""
    lines = [*lines[:start], *dataset.splitlines(keepends=True), *lines[end:]]
    start = next(number for number, line in enumerate(lines) if line.startswith("evaluate:"))
    first = next(number for number in range(start, len(lines)) if lines[number].startswith("  classes: "))
    last = next(number for number in range(first, len(lines)) if "]" in lines[number])
    lines[first : last + 1] = [f"  classes: {classes} # scored; pixels of any other class are ignored\n"]
    lines = _replace(lines, "  masks: ", NO_MASKS if own.masks is None else str(own.masks))
    return _slower(lines, (len(own.classes) - 1) / VOC_CLASSES)


def _slower(lines: list[str], share: float) -> list[str]:
    """The classifiers' rates for fewer classes than VOC has.

    Their loss is a mean over the classes: the fewer there are, the larger each one's gradient, and with the rate of 20
    classes a network of six can lose all its features in the first updates.
    """
    section = ""
    for number, line in enumerate(lines):
        section = line.strip() if line[:1].isalpha() else section
        found = re.fullmatch(r"( +lr: )([\d.e-]+)(.*\n)", line)
        if found and section.startswith("cams:") and share < 1:
            lines[number] = f"{found[1]}{float(f'{share * float(found[2]):.1g}')}{found[3]}"
    return lines


def _devkit(data: Path) -> Path:
    candidates = (data, data / "VOC2012", data / "VOCdevkit" / "VOC2012")
    for candidate in candidates:
        if (candidate / "JPEGImages").is_dir():
            return candidate.resolve()
    looked = ", ".join(str(candidate / "JPEGImages") for candidate in candidates)
    raise UsageError(f"--data {data} holds no VOC devkit: none of {looked} exists")


def _replace(lines: list[str], key: str, value: str) -> list[str]:
    """Set every ``key`` that names a file; the comment behind it stays."""
    value = json.dumps(value, ensure_ascii=False)  # quoted: a path may hold what YAML takes for its own
    changed = []
    for line in lines:
        before, found, after = line.partition(key)
        if found and not before.strip() and not after.startswith(("null", "cams", IN_PACKAGE)):
            _, mark, comment = after.partition(" #")
            line = f"{before}{key}{value}{mark}{comment}" if mark else f"{before}{key}{value}\n"
        changed.append(line)
    return changed
