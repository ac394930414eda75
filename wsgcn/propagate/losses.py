"""The objective of eq. (2)–(7): foreground, background, entropy and Laplacian losses.

Each loss is a weighted sum over the whole ``(N, K)`` array with weights made once an image, so that a step selects
nothing, and an empty set of nodes is a sum of zeros instead of a NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsgcn.labels import IGNORE
from wsgcn.ops.stencil import half_square, overlap
from wsgcn.propagate.graph import Sparse, adjacency, to_torch

REFERENCE_CLASSES = 21
"""The public code averages the entropy over all classes of VOC, also those that an image does not show."""


def colour_affinity(
    rgb_u8: NDArray[np.uint8], colour_variance: float, distance_variance: float, colour_scale: float, window: int
) -> Sparse:
    """Φ of eq. (7), and 1 on the diagonal, where it changes nothing.

    Args:
        rgb_u8: ``(h, w, 3)`` photograph at the grid's resolution.
        colour_variance: 2 σ1², squared units of ``colour_scale``.
        distance_variance: 2 σ2², squared cells.
        colour_scale: what full intensity counts.
        window: side of the square neighbourhood, odd.

    Returns:
        ``(N, N)`` symmetric, float64.
    """
    height, width = rgb_u8.shape[:2]
    colours = rgb_u8.astype(np.float64) / 255 * colour_scale
    offsets = half_square(window)
    weights = np.zeros((len(offsets), height, width))
    for weight, (dy, dx) in zip(weights, offsets):
        here, there = overlap(dy, dx, height, width)
        colour = ((colours[here] - colours[there]) ** 2).sum(axis=2)
        weight[here] = np.exp(-colour / colour_variance - (dy * dy + dx * dx) / distance_variance)
    return adjacency(np.array(offsets, dtype=np.int64).reshape(-1, 2), weights)


def laplacian(affinity: Sparse) -> Tensor:
    """D - Φ as a torch CSR tensor in the precision of Φ; self-loops cancel."""
    from torch_geometric.utils import get_laplacian  # takes seconds to import, which a random walk need not wait for

    edges = affinity.tocoo()
    index = torch.from_numpy(np.stack([edges.row, edges.col]).astype(np.int64))
    keep = index[0] != index[1]
    index, weight = get_laplacian(index[:, keep], torch.from_numpy(edges.data)[keep], num_nodes=affinity.shape[0])
    row, column = index.numpy()
    return to_torch(Sparse((weight.numpy(), (row, column)), shape=affinity.shape))


class QuadraticForm(torch.autograd.Function):
    """tr(xᵀ L x) for a symmetric L, with the gradient 2 L x from the product that the value needs anyway."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, symmetric: Tensor, x: Tensor) -> Tensor:
        """``(N, N)`` CSR and ``(N, K)`` to a scalar."""
        product = symmetric @ x
        ctx.save_for_backward(product)
        return (x * product).sum()

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[None, Tensor]:
        """The gradient of ``x`` alone."""
        (product,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return None, 2 * gradient * product


@dataclass(frozen=True)
class Objective:
    """Eq. (2) for one image, ready to be evaluated at every step.

    Attributes:
        foreground: ``(N, K)``: 1 / |V_fg| at the label of each foreground node, else 0.
        background: ``(N, K)``: 1 / |V_bg| at the label of each background node, else 0.
        unlabelled: ``(N, 1)``: 1 / |V_ig| at each unlabelled node, else 0; divided by 21 for ``reference``.
        laplacian: ``(N, N)`` CSR: D - Φ.
        on_log_probs: the Laplacian acts on log q (``reference``) instead of q (``paper``).
        entropy_weight: β1.
        laplacian_weight: β2.
    """

    foreground: Tensor
    background: Tensor
    unlabelled: Tensor
    laplacian: Tensor
    on_log_probs: bool
    entropy_weight: float
    laplacian_weight: float

    def __call__(self, log_probs: Tensor) -> Tensor:
        """``(N, K)`` log q to the five numbers ``(5,)`` of ``LOSS_NAMES``; the first is what is minimised."""
        probs = log_probs.exp()
        foreground = -(self.foreground * log_probs).sum()  # eq. (3)
        background = -(self.background * log_probs).sum()  # eq. (4)
        entropy = -(self.unlabelled * probs * log_probs).sum()  # eq. (5)
        signal = log_probs if self.on_log_probs else probs
        smooth = QuadraticForm.apply(self.laplacian, signal) / len(signal)  # eq. (6)
        total = foreground + background + self.entropy_weight * entropy + self.laplacian_weight * smooth  # eq. (2)
        return torch.stack([total, foreground, background, entropy, smooth])


def build_objective(
    labels: NDArray[np.uint8],
    classes: int,
    affinity: Sparse,
    kind: Literal["paper", "reference"],
    entropy_weight: float,
    laplacian_weight: float,
) -> Objective:
    """Eq. (2) for the partial labels and Φ of one image.

    Args:
        labels: ``(N,)`` positions among the K classes, 255 = unlabelled.
        classes: K.
        affinity: Φ, ``(N, N)``; its precision is that of the whole objective.
        kind: ``paper`` as printed; ``reference`` as the public code has it.
        entropy_weight: β1.
        laplacian_weight: β2.
    """
    one_hot = torch.from_numpy(labels[:, None] == np.arange(classes)).to(_dtype(affinity))
    background, foreground = one_hot.clone(), one_hot.clone()
    background[:, 1:] = 0
    foreground[:, 0] = 0
    unlabelled = torch.from_numpy(labels[:, None] == IGNORE).to(one_hot.dtype)
    averaged = 1 if kind == "paper" else REFERENCE_CLASSES
    return Objective(
        foreground=foreground / foreground.sum().clamp(min=1),
        background=background / background.sum().clamp(min=1),
        unlabelled=unlabelled / unlabelled.sum().clamp(min=1) / averaged,
        laplacian=laplacian(affinity),
        on_log_probs=kind == "reference",
        entropy_weight=entropy_weight,
        laplacian_weight=laplacian_weight,
    )


def _dtype(matrix: Sparse) -> torch.dtype:
    return torch.from_numpy(matrix.data[:0]).dtype
