"""The graph of eq. (1) as the public code has it, a walk's transition after many steps, without its N × N matrix."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import torch
from torch import Tensor

from wsgcn.propagate.graph import Sparse

BETWEEN = 2 * math.sqrt(2) - 2
"""c of max(a, b) ≈ a + b - c √(a b): with it the error is largest, 17 %, where a = b and where a = 5.8 b."""


@dataclass(frozen=True)
class WalkedGraph:
    """Ã = L (M + I) R, where M_ij is max(T_ij, T_ji) up to 17 % and T is the transition after so many steps.

    The public code has the maximum, N × N. Here D T is symmetric, so that max(T_ij, T_ji) is (D T)_ij max(1 / d_i,
    1 / d_j). With a + b - c √(a b) in the place of max(a, b), M V is T V + D T D⁻¹ V - c D^½ T D^-½ V: one walk of
    three times as many columns, there and, since M is symmetric, back.

    Attributes:
        transition: of one step, ``(B N, B N)`` CSR, block-diagonal; rows sum to 1.
        degrees: D, ``(B N, 1)``: sums of the rows that the transition was divided by.
        left: L, ``(B N, 1)``.
        right: R, ``(B N, 1)``.
        steps: of the walk.
    """

    transition: Tensor
    degrees: Tensor
    left: Tensor
    right: Tensor
    steps: int

    def __matmul__(self, values: Tensor) -> Tensor:
        """Ã V, ``(B N, K)``, from V ``(B N, K)``."""
        given, root = self.right * values, self.degrees.sqrt()
        columns = torch.cat([given, given / self.degrees, given / root], dim=1)
        there, back, between = power(self.transition, columns, self.steps).split(values.shape[1], dim=1)
        return self.left * (given + there + self.degrees * back - BETWEEN * root * between)

    def transposed(self) -> WalkedGraph:
        """Ãᵀ."""
        return replace(self, left=self.right, right=self.left)


def walked_graph(
    affinity: Sparse, transition: Tensor, beta: float, steps: int, kind: Literal["row", "symmetric", "none"]
) -> WalkedGraph:
    """Ã of one image, on the device of the transition.

    Args:
        affinity: ``(N, N)`` matrix A.
        transition: rows of A^β (entry by entry) divided by their sums, ``(N, N)`` CSR.
        beta: β.
        steps: of the walk, 1 or more.
        kind: how M + I is normalised, as in :func:`wsgcn.propagate.graph.normalise`.
    """
    degrees = torch.from_numpy(affinity.power(beta).sum(axis=1)).to(transition.device)[:, None]
    ones = torch.ones_like(degrees)
    plain = WalkedGraph(transition, degrees, ones, ones, steps)
    if kind == "none":
        return plain
    sums = plain @ ones
    if kind == "row":
        return replace(plain, left=1 / sums)
    return replace(plain, left=sums.rsqrt(), right=sums.rsqrt())


def power(transition: Tensor, values: Tensor, steps: int) -> Tensor:
    """The transition ``steps`` times on ``(N, K)`` values, to rounding, by about 5 √steps products in float32.

    x^n is a sum of Chebyshev polynomials in [-1, 1], where the eigenvalues are, and the weights of high degrees are
    nothing. A GCN does this twice an update. :func:`wsgcn.propagate.walk.walk`, once a photograph, is plain products.

    Source: Sachdeva and Vishnoi, "Faster Algorithms via Approximation Theory" (2014), on monomials.
    """
    weights = power_weights(steps, torch.finfo(values.dtype).eps)
    before, current = values, transition @ values
    total = weights[0] * before + weights[1] * current
    for weight in weights[2:]:
        before, current = current, torch.addmm(before, transition, current, beta=-1, alpha=2)
        total.add_(current, alpha=weight)
    return total


@cache
def power_weights(steps: int, tolerance: float) -> tuple[float, ...]:
    """Weights of the Chebyshev polynomials of degree 0, 1, … in x^steps, without those that add up to less."""
    weights = [0.0] * (steps + 1)
    for degree in range(steps, -1, -2):  # those between have none
        weights[degree] = math.comb(steps, (steps - degree) // 2) / 2 ** (steps - (degree > 0))
    dropped = 0.0
    while (dropped := dropped + weights[-1]) < tolerance:
        weights.pop()
    return tuple(weights)
