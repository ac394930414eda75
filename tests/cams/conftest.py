"""Fixtures of several files here."""

import pytest
import torch

from tests.nets.sizes import tiny
from wsgcn.cams.net import build_cam_net
from wsgcn.store.index import save_index
from wsgcn.store.paths import Artifacts

__all__ = ["tiny"]
CLASSES = 4


@pytest.fixture
def net(tiny_params):
    torch.manual_seed(0)
    return build_cam_net(tiny_params.cams["irnet"].train, CLASSES, pretrained=False).eval()


@pytest.fixture
def fresh(tmp_path, tiny_index):
    """Artifacts with nothing but the index."""
    artifacts = Artifacts(tmp_path / "fresh")
    save_index(artifacts.index, tiny_index)
    return artifacts


def photo(height=45, width=62, seed=0):
    return torch.randn((3, height, width), generator=torch.Generator().manual_seed(seed))
