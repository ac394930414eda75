"""Memory that was freed is there for the next array."""

import subprocess
import sys
from pathlib import Path

import pytest

RESIDENT = """
import resource, sys, torch
from wsgcn.runtime.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def use():
    torch.ones(25_000_000).sum()
for _ in range(10):  # it takes some arrays until each finds room
    use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="counts Linux's page faults")
def test_a_second_array_takes_the_pages_of_the_first():
    faults = {
        how: int(subprocess.run([sys.executable, "-c", RESIDENT, how], capture_output=True, check=True).stdout)
        for how in ("keep", "give back")
    }
    assert faults["keep"] < faults["give back"] / 100
