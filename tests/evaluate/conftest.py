"""Fixtures of the tests that need an evaluated project."""

from __future__ import annotations

import pytest

from tests.evaluate import project
from wsgcn.evaluate import network


@pytest.fixture
def fake_network(monkeypatch):
    """Replace DeepLab, which is tested elsewhere, by a rule on colours."""
    network._load.cache_clear()
    monkeypatch.setattr(network, "load_deeplab", project.fake_load)
    monkeypatch.setattr(network, "predict_probs", project.fake_predict)
    yield
    network._load.cache_clear()


@pytest.fixture
def artifacts(tmp_path, tiny_index, fake_network):
    """Everything that ``evaluate`` reads, for a method of each propagation."""
    return project.build(tmp_path / "artifacts", tiny_index, project.WSGCN_I, project.IRNET)
