"""Project folders: ``params.yaml``, ``dvc.yaml`` and ``.dvc/``, written from the presets that ship in the package."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from wsgcn.errors import UsageError

PACKAGE = Path(__file__).resolve().parent
PRESETS = ("demo", "voc12", "voc12-mobile")

_GITIGNORE = "/artifacts/\n/data/\n/weights/\n/mlflow.db\n/mlruns/\n/mlartifacts/\n"
_DVCIGNORE = """\
# What Python and the system leave beside the code is no dependency of a stage.
__pycache__/
*.pyc
.DS_Store
"""
_DVC_SETTINGS = (("core.analytics", "false"), ("core.check_update", "false"), ("cache.type", "reflink,hardlink,copy"))


def init_project(folder: Path, preset: str, data: Path | None, weights: Path | None) -> None:
    """Make ``folder`` a project: its files, a link to the code for DVC to watch, and DVC itself.

    Args:
        folder: made where it does not exist; what lies in it is left alone.
        preset: one of :data:`PRESETS`.
        data: folder of the dataset: ``VOC2012`` itself or what holds ``VOCdevkit/VOC2012``; None keeps the preset's.
        weights: file of ImageNet weights for the preset's backbones; None keeps the preset's.

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
        code = folder / "wsgcn"
        if not code.exists():
            code.symlink_to(PACKAGE, target_is_directory=True)
        _init_dvc(folder)
        # Last, so that what failed before them can be tried again.
        (folder / "dvc.yaml").write_text(pipeline_text(preset))
        (folder / "params.yaml").write_text(params)
    except OSError as error:
        raise UsageError(f"{folder} cannot become a project ({error}): choose another folder") from error


def params_text(preset: str, data: Path | None, weights: Path | None) -> str:
    """The content of ``params.yaml`` for a preset, with the user's paths in it.

    Raises:
        UsageError: the data or the weights are not there, or the preset has no place for them.
    """
    lines = (PACKAGE / "presets" / f"{preset}.yaml").read_text().splitlines(keepends=True)
    if data is not None:
        if preset == "demo":
            raise UsageError("--data does not go with the preset demo, which makes its own: choose voc12-mobile")
        lines = _replace(lines, "  root: ", str(_devkit(data)))
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
            raise UsageError(f"--weights does not go with the preset {preset}, whose networks start from scratch")
    return "".join(lines)


def pipeline_text(preset: str) -> str:
    """The content of ``dvc.yaml`` for a preset: only its dataset stage depends on where pictures come from."""
    first = "dataset-made.yaml" if preset == "demo" else "dataset-raw.yaml"
    return (PACKAGE / "presets" / first).read_text() + (PACKAGE / "presets" / "stages.yaml").read_text()


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
        if found and not before.strip() and not after.startswith(("null", "cams")):
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
    _dvc(folder, "init", "--quiet", *_place(folder))
    for name, value in _DVC_SETTINGS:
        _dvc(folder, "config", name, value)


def _place(folder: Path) -> list[str]:
    """What ``dvc init`` must be told of git: nothing at the top of a repository."""
    git = shutil.which("git")
    if git is None:
        return ["--no-scm"]
    prefix = subprocess.run([git, "rev-parse", "--show-prefix"], cwd=folder, capture_output=True, text=True)
    if prefix.returncode != 0:
        return ["--no-scm"]
    return ["--subdir"] if prefix.stdout.strip() else []


def _dvc(folder: Path, *arguments: str) -> None:
    quiet = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], cwd=folder, capture_output=True, text=True, env=quiet
    )
    if done.returncode != 0:
        reason = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise UsageError(f"dvc {' '.join(arguments)} failed in {folder}: {' '.join(reason)}")
