"""What the scripts share that do some stages of a project anew, with other settings, a row of a table each."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from wsgcn.ops.iou import miou_difference
from wsgcn.report.differences import AFTER, BEFORE, points, span
from wsgcn.store.counts import PhotographCounts
from wsgcn.store.paths import Artifacts


def values(pairs: Sequence[str]) -> dict[str, Any]:
    """``a.b=1`` as YAML values by dotted key."""
    return {key: yaml.safe_load(value) for key, _, value in (one.partition("=") for one in pairs)}


def row_artifacts(project: Path, script: str, name: str, settings: Sequence[str]) -> Artifacts:
    """Artifacts of their own for a row; its settings may be too long for a file's name, and are a digest in it."""
    digest = sha256("\n".join(settings).encode()).hexdigest()[:8]
    return Artifacts(project / script / f"{name}-{digest}")


def borrow(project: Path, artifacts: Artifacts, folder: str, of: str | None = None) -> None:
    """Link a folder of the project's artifacts, ``<stage>`` or ``<stage>/<name>``, or another one in its place."""
    link = artifacts.root / folder
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to((project / "artifacts" / (of or folder)).absolute())


def above(counts: PhotographCounts, base: PhotographCounts) -> str:
    """How far labels are above those of a base, before and after the CRF, with 95 % intervals."""
    mious = (miou_difference(counts.steps[step], base.steps[step]) for step in (BEFORE, AFTER))
    return "".join(f"; {points(one.value)} ({span(one)})" for one in mious)
