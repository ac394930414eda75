"""Fixtures of the tests that evaluate a project."""

from __future__ import annotations

import pytest

from tests.evaluate import project
from wsgcn.evaluate import network
from wsgcn.evaluate.labels_stage import evaluate_labels
from wsgcn.evaluate.network_stage import evaluate_network


@pytest.fixture
def fake_network(monkeypatch):
    """Replace DeepLab, which is tested elsewhere, by a rule on colours."""
    network._load.cache_clear()
    network._probs.cache_clear()
    monkeypatch.setattr(network, "load_deeplab", project.fake_load)
    monkeypatch.setattr(network, "predict_probs", project.fake_predict)
    yield
    network._load.cache_clear()
    network._probs.cache_clear()


@pytest.fixture
def wsgcn_i(tiny_params):
    """A method that learns from partial labels."""
    return tiny_params.method("WSGCN-I")


@pytest.fixture
def irnet(tiny_params):
    """A method on the same CAMs that uses none."""
    return tiny_params.method("IRNet")


@pytest.fixture
def artifacts(tmp_path, tiny_index, wsgcn_i, irnet, fake_network):
    """Everything that the two stages read, for both methods."""
    return project.build(tmp_path / "artifacts", tiny_index, wsgcn_i, irnet)


@pytest.fixture
def warnings():
    """What the user was told; its ``append`` is the stages' ``warn``."""
    return []


@pytest.fixture
def score_labels(tiny_params, artifacts, wsgcn_i, warnings):
    """Runs ``evaluate-labels``, for WSGCN-I with the project's parameters unless others are given."""

    def score(params=tiny_params, method=wsgcn_i):
        return evaluate_labels(params, artifacts, method, warnings.append)

    return score


@pytest.fixture
def score_network(tiny_params, artifacts, wsgcn_i, warnings):
    """Runs ``evaluate`` likewise."""

    def score(params=tiny_params, method=wsgcn_i):
        return evaluate_network(params, artifacts, method, warnings.append)

    return score
