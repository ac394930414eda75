"""Project folders: ``params.yaml``, ``dvc.yaml`` and ``.dvc/``, written from the presets that ship in the package."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from wsgcn.errors import UsageError
from wsgcn.vocabulary import IN_PACKAGE, PRESET_FOLDER

PRESETS = ("demo", "voc12", "voc12-mobile")

_GITIGNORE = "/artifacts/\n/.wsgcn/\n/dvc_plots/\n/data/\n/weights/\n/mlflow.db\n/mlruns/\n/mlartifacts/\n"
NO_MASKS = "masks"
"""Folder of a project for masks, where the dataset has none: DVC wants what a stage depends on to be there."""

_MASKS_NOTE = "Masks for scoring go here: <id>.png, grey or palette, a class id a pixel, 255 = not scored.\n"
_DVCIGNORE = """\
# Finished work is no pipeline's: DVC need not look for stages among its many files.
/.wsgcn/
# What Python and the system leave beside photographs is no dependency of a stage.
__pycache__/
*.pyc
.DS_Store
"""
_DVC_SETTINGS = """\
    analytics = false
    check_update = false
[cache]
    type = "hardlink,copy"
"""
_NO_GIT = ["--no-scm"]
_DVC_GITIGNORE = "/config.local\n/tmp\n/cache\n"


def init_project(folder: Path, preset: str, data: Path | None, weights: Path | None) -> list[str]:
    """Make ``folder`` a project: its files, and DVC itself.

    Args:
        folder: made where it does not exist; what lies in it is left alone.
        preset: one of :data:`PRESETS`.
        data: folder of the dataset: ``VOC2012`` itself or what holds ``VOCdevkit/VOC2012``; None keeps the preset's.
        weights: file of ImageNet weights for the preset's backbones; None keeps the preset's.

    Returns:
        What is missing for the whole pipeline and for experiments, one line each.

    Raises:
        UsageError: the preset is unknown, the folder is a project already or cannot be written, or the data are not
            there.
    """
    if preset not in PRESETS:
        raise UsageError(f"no preset is called {preset!r}: known are {', '.join(PRESETS)}")
    for name in ("params.yaml", "dvc.yaml"):
        if (folder / name).exists():
            raise UsageError(f"{folder / name} exists: choose another folder, nothing was changed")
    params = params_text(preset, data, weights)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_new(folder / ".gitignore", _GITIGNORE)
        _write_new(folder / ".dvcignore", _DVCIGNORE)
        _init_dvc(folder)
        plots = folder / ".dvc" / "plots"
        plots.mkdir(exist_ok=True)
        for template in (PRESET_FOLDER / "plots").iterdir():
            _write_new(plots / template.name, template.read_text())
        # Last, so that what failed before them can be tried again.
        (folder / "dvc.yaml").write_text(pipeline_text(preset))
        (folder / "params.yaml").write_text(params)
        return _missing(folder, params)
    except OSError as error:
        raise UsageError(f"{folder} cannot become a project ({error}): choose another folder") from error


def params_text(preset: str, data: Path | None, weights: Path | None) -> str:
    """The content of ``params.yaml`` for a preset, with the user's paths in it.

    Raises:
        UsageError: the data or the weights are not there, or the preset has no place for them.
    """
    lines = (PRESET_FOLDER / f"{preset}.yaml").read_text().splitlines(keepends=True)
    if data is not None:
        if preset == "demo":
            raise UsageError("--data does not go with the preset demo, which makes its own: choose voc12-mobile")
        root = _devkit(data)
        lines = _replace(lines, "  root: ", str(root))
        masks = root / "SegmentationClass"
        lines = _replace(lines, "  masks: ", str(masks) if masks.is_dir() else NO_MASKS)
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


def pipeline_text(preset: str) -> str:
    """The content of ``dvc.yaml`` for a preset: only its dataset stage depends on where pictures come from."""
    first = "dataset-made.yaml" if preset == "demo" else "dataset-raw.yaml"
    return (PRESET_FOLDER / first).read_text() + (PRESET_FOLDER / "stages.yaml").read_text()


def _missing(folder: Path, params: str) -> list[str]:
    """What is not there: what params.yaml names, git. A folder for masks is made where the dataset has none."""
    content = yaml.safe_load(params)
    missing = []
    root = content["dataset"].get("root")
    if root is not None and not (folder / root).is_dir():
        missing.append(f"{root} is missing: put the dataset there, or name it as dataset.root in params.yaml")
    for file in sorted({one for one in _weight_files(content) if not (folder / one).is_file()}):
        missing.append(f"{file} is missing: put weights there (`wsgcn weights import`), or name others in params.yaml")
    masks = folder / NO_MASKS
    if content["evaluate"]["masks"] == NO_MASKS and not masks.exists():
        masks.mkdir()
        (masks / "README.txt").write_text(_MASKS_NOTE)
        missing.append(f"the dataset has no masks, so nothing will be scored: put <id>.png into {masks}")
    if _place(folder) == _NO_GIT:
        later = "after `git init` run `dvc config core.no_scm false`"
        missing.append(f"{folder} is in no git repository, which `dvc exp` needs: {later}")
    return missing


def _weight_files(content: Any) -> Iterator[str]:
    """Every file that a key ``weights`` or ``trained`` names."""
    if isinstance(content, dict):
        for key, value in content.items():
            if key in ("weights", "trained") and isinstance(value, str):
                if value != "cams" and not value.startswith(IN_PACKAGE):
                    yield value
            else:
                yield from _weight_files(value)


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


def _write_new(path: Path, text: str) -> None:
    if not path.exists():
        path.write_text(text)


def _init_dvc(folder: Path) -> None:
    if (folder / ".dvc").exists():
        return
    place = _place(folder)
    _dvc(folder, "init", "--quiet", *place)
    no_git = "    no_scm = True\n" if place == _NO_GIT else ""
    (folder / ".dvc" / "config").write_text(f"[core]\n{no_git}{_DVC_SETTINGS}")
    _write_new(folder / ".dvc" / ".gitignore", _DVC_GITIGNORE)  # without git DVC writes none, but git may come later


def _place(folder: Path) -> list[str]:
    """What ``dvc init`` must be told of git: nothing at the top of a repository."""
    git = shutil.which("git")
    if git is None:
        return _NO_GIT
    prefix = subprocess.run([git, "rev-parse", "--show-prefix"], cwd=folder, capture_output=True, text=True)
    if prefix.returncode != 0:
        return _NO_GIT
    return ["--subdir"] if prefix.stdout.strip() else []


def _dvc(folder: Path, *arguments: str) -> None:
    quiet = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], cwd=folder, capture_output=True, text=True, env=quiet
    )
    if done.returncode != 0:
        reason = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise UsageError(f"dvc {' '.join(arguments)} failed in {folder}: {' '.join(reason)}")
