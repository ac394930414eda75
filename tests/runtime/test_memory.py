"""Memory: how much is free, how much a worker takes, and that what was freed is there for the next array."""

import resource
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from wsgcn.runtime import memory
from wsgcn.runtime.memory import NetworkMemory, free_memory, worker_memory

RESIDENT = """
import resource, statistics, sys, torch
from wsgcn.runtime.memory import A_PHOTOGRAPHS, keep_freed_memory
if sys.argv[1] == "keep all, then small":
    keep_freed_memory()
if sys.argv[1] != "give back":
    keep_freed_memory(A_PHOTOGRAPHS if "small" in sys.argv[1] else None)
def use():
    torch.ones(int(sys.argv[2])).sum()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    use()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
counts = [faults() for _ in range(20)]
print(statistics.median(counts[9:]))  # it takes some arrays until most find room
"""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="counts Linux's page faults")
@pytest.mark.parametrize(
    ("how", "numbers", "kept"),
    [
        *(("keep", 6_000_000, True), ("keep", 25_000_000, True)),
        *(("keep small", 6_000_000, True), ("keep small", 25_000_000, False)),
        *(("keep all, then small", 25_000_000, False), ("give back", 25_000_000, False)),
    ],
)
def test_a_second_array_takes_the_pages_of_the_first(how, numbers, kept):
    command = [sys.executable, "-c", RESIDENT, how, str(numbers)]
    faults = float(subprocess.run(command, capture_output=True, check=True).stdout)
    pages = 4 * numbers / resource.getpagesize()
    assert faults < pages / 100 if kept else faults > pages / 2


GIVEN_BACK = """
import psutil, torch
from wsgcn.runtime.memory import A_PHOTOGRAPHS, give_back_freed_memory, keep_freed_memory
keep_freed_memory(A_PHOTOGRAPHS)
arrays = [torch.ones(250_000) for _ in range(200)]
del arrays[:-1]  # the last one is above the others, where nothing would give them back by itself
before = psutil.Process().memory_info().rss
give_back_freed_memory()
print(before - psutil.Process().memory_info().rss)
"""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="only Linux's C library gives it back")
def test_what_was_freed_is_given_back():
    freed = int(subprocess.run([sys.executable, "-c", GIVEN_BACK], capture_output=True, check=True).stdout)
    assert freed > 0.9 * 199 * 1_000_000


def _group(folder: Path, limit: str, taken: int, inactive: int) -> None:
    folder.mkdir()
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{taken}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {inactive}\n")


@pytest.mark.parametrize(("limit", "left"), [("1000", 1000 - 700 + 300), ("max", None)])
def test_a_container_has_what_its_limit_leaves(tmp_path, monkeypatch, limit, left):
    _group(tmp_path / "group", limit, 700, 300)
    groups = [(tmp_path / "group", "memory.max", "memory.current"), (tmp_path / "none", "memory.max", "memory.current")]
    monkeypatch.setattr(memory, "_GROUPS", groups)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 10**9}))
    assert free_memory() == (10**9 if left is None else left)


def test_this_machine_has_memory():
    assert 10**6 < free_memory() <= psutil.virtual_memory().total


def test_a_worker_takes_more_for_larger_photographs():
    small, seen, large = (worker_memory(pixels, seen) for pixels, seen in ((1e5, 1e5), (1e6, 1e6), (64e6, 1e6)))
    assert 0.3e9 < small < seen < large <= 2.2e9


def test_a_worker_takes_more_for_a_large_network():
    demo, wide = (worker_memory(1e6, 1e6, NetworkMemory(weights, pixel)) for weights, pixel in ((1e6, 320), (4e8, 4e3)))
    assert demo < 1.5e9
    assert wide - demo > 4.4e9
