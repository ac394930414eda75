"""How many bytes a kernel must move at least, which memory bandwidth turns into the least time that it can take."""

from __future__ import annotations

import torch

from wsgcn.bench.inputs import Case
from wsgcn.bench.numbers import KernelNumbers, given
from wsgcn.ops.stencil import half_disc
from wsgcn.propagate.walked import power_weights

NUMBER, INDEX = 4, 4
"""Bytes of a float32 and of an int32."""


def edge_count(case: Case, radius: int) -> int:
    """Entries of the sparse A of a grid: both directions of every pair, and the diagonal."""
    pairs = sum((case.height - dy) * (case.width - abs(dx)) for dy, dx in half_disc(radius))
    return case.height * case.width + 2 * pairs


def walk_bytes(case: Case, numbers: KernelNumbers) -> int:
    """Each step reads the transition and the scores, and writes the scores."""
    nodes = case.height * case.width
    step = edge_count(case, given(numbers.radius)) * (NUMBER + INDEX) + 2 * nodes * case.classes * NUMBER
    return int(2 ** given(numbers.walk).log2_steps * step)


def gcn_bytes(case: Case, numbers: KernelNumbers) -> int:
    """Each step reads ÃV for the forward pass and for the gradient of W1, Ã, its transpose and the Laplacian.

    A graph of many steps reads the transition for each of its products instead of Ã, and so does its transpose.
    """
    gcn, nodes = given(numbers.gcn), case.height * case.width
    products = 2 * max(1, len(power_weights(gcn.graph_steps, torch.finfo(torch.float32).eps)) - 1)
    graphs = products * edge_count(case, given(numbers.radius)) + nodes * gcn.window**2
    return gcn.steps * (2 * nodes * case.features * NUMBER + graphs * (NUMBER + INDEX))
