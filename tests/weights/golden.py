"""Weights that follow from a parameter's name alone, and few numbers that say what a network makes of them."""

from __future__ import annotations

import hashlib
import math
import zlib

import numpy as np
import torch

PERIOD = 65_537
"""Numbers that are drawn for a parameter, a prime; a longer one repeats them."""

COUNTER = "num_batches_tracked"
"""What files from before PyTorch 0.4.1 lack."""


def seeded(state):
    """The same names and shapes with other numbers; names that share a tensor share the new one too."""
    aliases = {}
    for key, one in state.items():
        if not key.endswith(COUNTER):
            aliases.setdefault(one.data_ptr() or key, []).append(key)
    return {key: value for keys in aliases.values() for key, value in _alike(keys, state[keys[0]].shape)}


def _alike(keys, shape):
    name = min(keys)
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    drawn, count = torch.randn(PERIOD, generator=generator), math.prod(shape)
    value = drawn.repeat(-(-count // PERIOD))[:count].reshape(shape)
    if len(shape) > 1:
        value = value / math.prod(shape[1:]) ** 0.5
    elif name.endswith("running_var"):
        value = value.abs() + 0.5
    elif name.endswith("weight"):
        value = 0.75 + 0.25 * value.tanh()
    else:
        value = 0.1 * value
    return [(key, value) for key in keys]


def digest(state):
    """Of names and shapes, in any order, without the batch norms' counters."""
    lines = sorted(f"{key} {tuple(one.shape)}" for key, one in state.items() if not key.endswith(COUNTER))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def picture():
    """``(64, 64, 3)`` uint8."""
    return np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def numbers(maps):
    """Of each map the mean, the mean size, the largest value, and two sums that know where each value is."""
    found = []
    for one in maps:
        flat = one.double().flatten()
        places = torch.arange(len(flat), dtype=torch.float64)
        waves = [(flat * torch.cos(step * places)).sum() / len(flat) ** 0.5 for step in (0.1, 1.7)]
        found.append([float(f"{float(value):.6g}") for value in (flat.mean(), flat.abs().mean(), flat.max(), *waves)])
    return found
