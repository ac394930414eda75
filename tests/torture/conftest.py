"""The project before and after each stage, and the rows of the table of docs/reliability.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.torture.stages import Snapshots


@pytest.fixture(scope="session")
def snapshots(tmp_path_factory: pytest.TempPathFactory) -> Snapshots:
    """A small demo before and after each stage."""
    folder: Path = tmp_path_factory.mktemp("torture")
    return Snapshots.taken(folder)
