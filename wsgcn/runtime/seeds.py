"""Random numbers that depend on the run's seed and on names, and on nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def seed_for(run_seed: int, *names: str) -> int:
    """A seed in [0, 2^63) that depends on the run's seed and on names (an image id) and on nothing else."""
    text = "\0".join([str(run_seed), *names])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator_for(run_seed: int, *names: str) -> torch.Generator:
    """A CPU generator seeded by :func:`seed_for`."""
    return torch.Generator().manual_seed(seed_for(run_seed, *names))


@contextmanager
def seeded(run_seed: int, *names: str) -> Iterator[None]:
    """Seed torch's global generators, which new weights and dropout draw from, by :func:`seed_for` inside the block."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(run_seed, *names))
        yield
