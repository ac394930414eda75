"""The random walk: the baseline's propagation, and the diffusion of the GCN's node features."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsgcn.ops.grid import Grid
from wsgcn.ops.scores import with_background, with_constant
from wsgcn.propagate.base import PropagationInput
from wsgcn.propagate.graph import Sparse, adjacency, to_torch, walk_operator
from wsgcn.propagate.walked import WalkedGraph
from wsgcn.store.records import Affinity, Scores

if TYPE_CHECKING:
    from wsgcn.propagate.random_walk import RandomWalk

T = TypeVar("T")
_COLUMNS = 16
"""Columns of one sparse product: a cache line of float32, which the CSR kernel reads fastest."""


def walk(operator: Tensor | WalkedGraph, values: Tensor, steps: int) -> Tensor:
    """Apply the transition ``steps`` times to each column; every value stays within its column's range.

    Args:
        operator: ``(N, N)``, CSR or of many steps of its own, whose rows sum to 1.
        values: ``(N, K)``.
        steps: number of sparse products.

    Returns:
        ``(N, K)``, the dense transition^steps @ values without the N × N matrix.
    """
    blocks = []
    for block in values.split(_COLUMNS, dim=1):
        current = block.contiguous()
        for _ in range(steps):
            current = operator @ current
        blocks.append(current)
    return torch.cat(blocks, dim=1)


def walk_scores(scores: NDArray[np.floating], operator: Tensor, log2_steps: int) -> NDArray[np.floating]:
    """Walk ``(K, h, w)`` scores for 2^log2_steps steps, as IRNet and PSA do with their CAMs."""
    columns = torch.from_numpy(np.ascontiguousarray(scores.reshape(len(scores), -1).T))  # (K, h, w) -> (N, K)
    return walk(operator, columns.to(operator.device), 2**log2_steps).T.cpu().numpy().reshape(scores.shape)


def walked_cams(
    cams: NDArray[np.float32], boundary: NDArray[np.float32], operator: Tensor, log2_steps: int
) -> NDArray[np.float32]:
    """CAMs off the boundary walk and are divided by their maximum.

    Args:
        cams: ``(K-1, h, w)`` in [0, 1].
        boundary: ``(h, w)`` in [0, 1].
        operator: ``(N, N)`` transition.
        log2_steps: t of 2^t steps.

    Returns:
        ``(K-1, h, w)`` in [0, 1].
    """
    walked = walk_scores((cams * (1 - boundary)).astype(np.float32), operator, log2_steps).astype(np.float32)
    peak = walked.max()
    return walked / peak if peak > 0 else walked


def boundary_walk(
    cams: NDArray[np.float32],
    boundary: NDArray[np.float32],
    operator: Tensor,
    log2_steps: int,
    background: float,
    grid: Grid,
) -> NDArray[np.float32]:
    """IRNet's scores: ``walked_cams`` and a constant ``background`` in [0, 1], ``(K, h, w)``, background first.

    Where cells jut out, the maximum by which the CAMs are divided is that over the photograph's pixels.
    """
    walked = walked_cams(grid.pooled(cams), boundary, operator, log2_steps)
    peak = grid.covering(walked).max()
    return with_constant(walked / peak if peak > 0 else walked, background)


def background_walk(
    cams: NDArray[np.float32], operator: Tensor, log2_steps: int, alpha: float, grid: Grid
) -> NDArray[np.float32]:
    """PSA's scores: CAMs walk beside a background score (1 - max CAM)^α.

    Args:
        cams: ``(K-1, …)`` in [0, 1], of any size: the background score is that of their cells or pixels.
        operator: ``(N, N)`` transition.
        log2_steps: t of 2^t steps.
        alpha: exponent of the background score.
        grid: of the walk.

    Returns:
        ``(K, h, w)`` scores in [0, 1], background first.
    """
    return walk_scores(grid.pooled(with_background(cams, alpha)), operator, log2_steps).astype(np.float32)


def random_walk_scores(
    cams: NDArray[np.float32], boundary: NDArray[np.float32], graph: Sparse, params: RandomWalk, grid: Grid
) -> NDArray[np.float32]:
    """The baseline, with a constant background (IRNet) or one that walks along (PSA).

    Args:
        cams: ``(K-1, …)`` in [0, 1], of any size.
        boundary: ``(h, w)`` in [0, 1], all 0 where the affinity has none.
        graph: the affinity matrix A, ``(N, N)``.
        params: β, steps, and one of both backgrounds.
        grid: how the cells of the graph lie on the photograph.

    Returns:
        ``(K, h, w)`` scores ≥ 0, background first; over the photograph's pixels in [0, 1].
    """
    operator = to_torch(walk_operator(graph, params.beta))
    if params.alpha is not None:
        return background_walk(cams, operator, params.log2_steps, params.alpha, grid)
    assert params.background is not None  # the record has exactly one of the two
    return boundary_walk(cams, boundary, operator, params.log2_steps, params.background, grid)


def walked_scores(one: PropagationInput, params: RandomWalk) -> Scores:
    """What stage ``propagate`` saves of a random walk."""
    affinity = required(one.affinity)
    boundary, graph = affinity.boundary.astype(np.float32), graph_of(affinity)
    scores = random_walk_scores(one.source_cams, boundary, graph, params, one.grid)
    return Scores.not_learned(one.class_ids, scores)


def graph_of(affinity: Affinity) -> Sparse:
    """The affinity matrix A of a stored graph, float32."""
    return adjacency(affinity.offsets, affinity.weights.astype(np.float32))


def required(value: T | None) -> T:
    """What a kind declares that it reads, and so was given."""
    assert value is not None
    return value
