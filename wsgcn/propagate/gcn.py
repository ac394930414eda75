"""The graph convolutional network of eq. (1), and how one is learned for a single image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.optim import Adam

from wsgcn.propagate.graph import SparseProduct
from wsgcn.propagate.losses import Objective


class FitParams(Protocol):
    """Numbers of the optimisation; section ``propagate`` has them."""

    @property
    def hidden(self) -> int: ...  # noqa: D102
    @property
    def dropout(self) -> float: ...  # noqa: D102
    @property
    def steps(self) -> int: ...  # noqa: D102
    @property
    def lr(self) -> float: ...  # noqa: D102
    @property
    def weight_decay(self) -> float: ...  # noqa: D102


@dataclass(frozen=True)
class Gcn:
    """Q = softmax(Ã ReLU(Ã V W1) W2), eq. (1).

    Attributes:
        graph: Ã, ``(N, N)`` CSR.
        transposed: Ãᵀ, which the gradient needs.
        w1: ``(F, hidden)``.
        w2: ``(hidden, K)``.
    """

    graph: Tensor
    transposed: Tensor
    w1: Tensor
    w2: Tensor

    def log_probs(self, propagated: Tensor, keep: Tensor | None = None) -> Tensor:
        """The logarithm of Q.

        Args:
            propagated: Ã V, ``(N, F)``: the same at every step, so computed once.
            keep: ``(N, hidden)`` dropout factors 0 or 1 / (1 - rate); None when predicting.

        Returns:
            ``(N, K)``.
        """
        hidden = torch.relu(propagated @ self.w1)
        if keep is not None:
            hidden = hidden * keep
        # Ã (H W2) instead of (Ã H) W2: K columns go through the graph, not 16.
        logits = SparseProduct.apply(self.graph, self.transposed, hidden @ self.w2)
        return torch.log_softmax(logits, dim=1)


def initial_weights(rows: int, columns: int, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """``(rows, columns)`` drawn uniformly from ±1 / √columns, as the public code does."""
    bound = 1 / math.sqrt(columns)
    draw = torch.rand((rows, columns), generator=generator, dtype=torch.float64)
    return ((2 * draw - 1) * bound).to(dtype).requires_grad_()


def fit(
    graph: Tensor,
    transposed: Tensor,
    propagated: Tensor,
    objective: Objective,
    params: FitParams,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Learn the two weight matrices for one image and predict its nodes.

    Args:
        graph: Ã, ``(N, N)`` CSR.
        transposed: Ãᵀ.
        propagated: Ã V, ``(N, F)``.
        objective: eq. (2).
        params: width, dropout, steps, rates.
        generator: the only source of randomness.

    Returns:
        Q ``(N, K)`` without dropout, and the ``(steps, 5)`` losses.
    """
    classes, dtype = objective.foreground.shape[1], propagated.dtype
    w1 = initial_weights(propagated.shape[1], params.hidden, generator, dtype)
    w2 = initial_weights(params.hidden, classes, generator, dtype)
    gcn = Gcn(graph, transposed, w1, w2)
    optimizer = Adam([w1, w2], lr=params.lr, weight_decay=params.weight_decay, fused=True)
    losses = torch.empty((params.steps, 5), dtype=dtype)
    draw = torch.empty((propagated.shape[0], params.hidden))
    for step in range(params.steps):
        # Comparing uniform draws is five times as fast as drawing from Bernoulli's distribution.
        torch.rand(draw.shape, generator=generator, out=draw)
        keep = (draw >= params.dropout).to(dtype).div_(1 - params.dropout)
        terms = objective(gcn.log_probs(propagated, keep))
        optimizer.zero_grad()
        terms[0].backward()
        optimizer.step()
        losses[step] = terms.detach()
    with torch.no_grad():
        return gcn.log_probs(propagated).exp(), losses
