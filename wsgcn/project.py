"""Project folders: ``params.yaml``, ``dvc.yaml`` and ``.dvc/``, written from the presets that ship in the package."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from wsgcn.errors import DataError, UsageError
from wsgcn.preset import (
    NO_MASKS,
    PRESETS,
    TABLE,
    OwnPhotographs,
    params_text,
    pipeline_text,
    weight_files,
)
from wsgcn.store.files import write_atomic
from wsgcn.vocabulary import PRESET_FOLDER

_GITIGNORE = "/artifacts/\n/.wsgcn/\n/dvc_plots/\n/data/\n/weights/\n/imported/\n/mlflow.db\n/mlruns/\n/mlartifacts/\n"
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
OUTPUT_STRIDE = 16
"""Pixels a cell at which weights are tried; every backbone has it, and it changes no parameter."""
_NO_GIT = ["--no-scm"]
_DVC_GITIGNORE = "/config.local\n/tmp\n/cache\n"


@dataclass
class Made:
    """What is to be said of a new project.

    Attributes:
        missing: what ``dvc repro`` cannot do without, a line each, with what mends it.
        notes: what it can do without.
    """

    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def init_project(folder: Path, preset: str, data: Path | OwnPhotographs | None, weights: Path | None) -> Made:
    """Make ``folder`` a project: its files, and DVC itself.

    Args:
        folder: made where it does not exist; what lies in it is left alone.
        preset: one of :data:`~wsgcn.preset.PRESETS`.
        data: folder of the dataset, ``VOC2012`` itself or what holds ``VOCdevkit/VOC2012``, or own photographs; None
            keeps the preset's.
        weights: file of ImageNet weights for the preset's backbones; None keeps the preset's.

    Returns:
        What is missing for the whole pipeline and for experiments.

    Raises:
        UsageError: the preset is unknown, the folder is a project already or cannot be written, or the data are not
            there.
    """
    if preset not in PRESETS:
        raise UsageError(f"no preset is called {preset!r}: known are {', '.join(PRESETS)}")
    own = data if isinstance(data, OwnPhotographs) else None
    for name in ("params.yaml", "dvc.yaml", *([TABLE] if own else [])):
        if (folder / name).exists():
            raise UsageError(f"{folder / name} exists: choose another folder, nothing was changed")
    if own is not None:
        _refuse_other_photographs(folder / own.root, own.copies)
    params, links = _without_absolute_paths(folder, params_text(preset, data, weights))
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
        for place, target in links.items():
            place.parent.mkdir(exist_ok=True)
            place.symlink_to(target)
        if own:
            for name, source in own.copies.items():
                write_atomic(folder / own.root / name, partial(_copy, source))
            (folder / TABLE).write_text(own.table, encoding="utf-8")
        (folder / "dvc.yaml").write_text(pipeline_text(preset))
        (folder / "params.yaml").write_text(params)
        return _look_through(folder, params)
    except OSError as error:
        raise UsageError(f"{folder} cannot become a project ({error}): choose another folder") from error


def _without_absolute_paths(folder: Path, params: str) -> tuple[str, dict[Path, Path]]:
    """``params.yaml`` as git may take it: paths of this machine become links in folders that git ignores.

    A path stays as it is where the link's place is taken.

    Returns:
        The text, and the links to make, with what they lead to.
    """
    content = yaml.safe_load(params)
    root, masks = content["dataset"].get("root"), content["evaluate"]["masks"]
    names = {file: f"weights/{Path(file).name}" for file, _ in weight_files(content)} | {masks: "data/masks"}
    if root is not None:
        names[root] = f"data/{Path(root).name}"
    links: dict[Path, Path] = {}
    for path in sorted(name for name in names if Path(name).is_absolute()):  # a folder comes before what is in it
        above = [place for place, target in links.items() if Path(path).is_relative_to(target)]
        if Path(path).is_relative_to(folder.resolve()):
            place = Path(path).relative_to(folder.resolve())
        elif above:
            place = above[0].relative_to(folder) / Path(path).relative_to(links[above[0]])
        elif (folder / names[path]).is_symlink() or (folder / names[path]).exists() or folder / names[path] in links:
            continue
        else:
            place = Path(names[path])
            links[folder / place] = Path(path)
        params = params.replace(_quoted(path), _quoted(place.as_posix()))
    return params, links


def _quoted(path: str) -> str:
    return json.dumps(path, ensure_ascii=False)  # as the preset's text has it


def _look_through(folder: Path, params: str) -> Made:
    """What is not there: what params.yaml names, git. A folder for masks is made where the dataset has none."""
    content = yaml.safe_load(params)
    made = Made()
    root = content["dataset"].get("root")
    if root is not None and not (folder / root).is_dir():
        made.missing.append(f"{root} is missing: put the dataset there, or name it as dataset.root in params.yaml")
    for file in sorted({file for file, _ in weight_files(content)}):
        if not (folder / file).is_file():
            made.missing.append(
                f"{file} is missing: put weights there (`wsgcn weights import`), or name others in params.yaml"
            )
    made.missing += _unfit_weights(folder, content)
    masks = folder / NO_MASKS
    if content["evaluate"]["masks"] == NO_MASKS and not masks.exists():
        masks.mkdir()
        (masks / "README.txt").write_text(_MASKS_NOTE)
        made.notes.append(f"there are no masks, so nothing will be scored: put <id>.png of photographs into {masks}")
    if _place(folder) == _NO_GIT:
        later = "after `git init` run `dvc config core.no_scm false`"
        made.notes.append(f"{folder} is in no git repository, which `dvc exp` needs: {later}")
    return made


def _unfit_weights(folder: Path, content: Any) -> list[str]:
    """Weight files that are there but do not belong to the backbone that they are for."""
    wanted = {(name, file) for file, name in weight_files(content) if name and (folder / file).is_file()}
    if not wanted:
        return []
    from wsgcn.nets.build import build_backbone

    unfit = []
    for name, file in sorted(wanted):
        try:
            build_backbone(name, OUTPUT_STRIDE, str(folder / file))
        except DataError as error:
            unfit.append(f"{error}: give the right file with --weights, or name it in params.yaml")
    return unfit


def _refuse_other_photographs(root: Path, copies: Mapping[str, Path]) -> None:
    """Stop before a copy would replace a photograph that is another one.

    Raises:
        UsageError: it would.
    """
    for name, source in copies.items():
        there = root / name
        if there.exists() and there.read_bytes() != source.read_bytes():
            raise UsageError(f"{there} is another photograph than {source}: choose another folder, nothing was changed")


def _copy(source: Path, file: BinaryIO) -> None:
    with source.open("rb") as photograph:
        shutil.copyfileobj(photograph, file)


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
