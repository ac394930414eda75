"""What a network takes in a process: that of its forward pass is at most what its class says, and not a third of it."""

import subprocess
import sys
from pathlib import Path

import pytest

from wsgcn.nets.build import backbone_class, network_memory
from wsgcn.nets.registry import BACKBONES
from wsgcn.runtime.memory import NO_NETWORK, NetworkMemory

SIDE = 1024
PROGRAM = """
import resource, sys, torch
from wsgcn.nets.base import on_device
from wsgcn.nets.build import backbone_class
from wsgcn.runtime.memory import A_PHOTOGRAPHS, keep_freed_memory
keep_freed_memory(A_PHOTOGRAPHS)
torch.set_num_threads(1)
backbone = backbone_class(sys.argv[1])
net = on_device(backbone(backbone.output_strides[0]).eval(), "cpu")
def peak(side):
    with torch.inference_mode():
        net(torch.zeros(1, 3, side, side))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(-peak(64) + peak(int(sys.argv[2])))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="Linux counts a process's memory in kilobytes")
@pytest.mark.parametrize("name", BACKBONES)
def test_a_forward_pass_takes_what_its_backbone_says(name):
    found = subprocess.run([sys.executable, "-c", PROGRAM, name, str(SIDE)], capture_output=True, text=True, check=True)
    each = int(found.stdout) / SIDE**2
    assert backbone_class(name).pixel_bytes / 3 < each <= backbone_class(name).pixel_bytes


def test_a_larger_scale_takes_its_square(tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"x" * 100)
    assert network_memory("resnet-38", 2, tmp_path / "checkpoint.pt", "cpu") == NetworkMemory(100, 3600)
    assert network_memory("resnet-38", 2, tmp_path / "checkpoint.pt", "cuda:0") == NO_NETWORK
    assert network_memory(None, 1, tmp_path / "none", "cpu") == NO_NETWORK
