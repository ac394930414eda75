"""Where the public projects are, and what their tests have in common.

``PUBLIC`` names a folder with work trees of jiwoon-ahn/irn, jiwoon-ahn/psa, kazuto1011/deeplab-pytorch, fyu/drn,
Xavier-Pan/WSGCN, johnnylu305/deeplab-imagenet-pytorch and YudeWang/SEAM, as ``irn``, ``psa``, ``deeplab``, ``drn``,
``wsgcn``, ``deeplab-imagenet`` and ``seam``, and of visinf/1-stage-wseg as ``onestage``. Their code stays outside of
this repository:

    PUBLIC=DIR pytest -n 0 tests/parity
"""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from wsgcn.store.checkpoints import fill
from wsgcn.weights.layouts import LAYOUTS

PUBLIC = Path(os.environ.get("PUBLIC", "")).resolve()
MARKS = [
    pytest.mark.public,
    pytest.mark.skipif("PUBLIC" not in os.environ, reason="PUBLIC names no folder of the public projects"),
    pytest.mark.filterwarnings("ignore"),
]


def scrambled(net, seed):
    """Norms with statistics and weights that matter."""
    generator = torch.Generator().manual_seed(seed)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(torch.randn(module.running_mean.shape, generator=generator) * 0.1)
            module.running_var.copy_(torch.rand(module.running_var.shape, generator=generator) + 0.5)
        if isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
            module.weight.copy_(torch.rand(module.weight.shape, generator=generator) + 0.5)
            module.bias.copy_(torch.randn(module.bias.shape, generator=generator) * 0.3)
    net.eval()  # PSA's returns nothing
    return net


def ours(layout, state):
    """Our network with their weights, imported as ``wsgcn weights import`` does."""
    net = LAYOUTS[layout].build()
    fill(net, LAYOUTS[layout].convert(dict(state)), layout)
    return net.eval()


def photo(height, width):
    smooth = np.random.default_rng(0).integers(0, 256, (height // 8 + 2, width // 8 + 2, 3)).astype(np.float32)
    enlarged = torch.from_numpy(smooth).permute(2, 0, 1)[None]
    grown = functional.interpolate(enlarged, size=(height, width), mode="bilinear")[0].permute(1, 2, 0)
    return grown.round().numpy().astype(np.uint8)
