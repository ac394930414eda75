"""The objective of eq. (2)–(7): foreground, background, entropy and Laplacian losses.

Each loss is a weighted sum over the whole ``(N, K)`` array with weights made once an image, so that a step selects
nothing, and an empty set of nodes is a sum of zeros instead of a NaN.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.csgraph import laplacian
from torch import Tensor

from wsgcn.ops.stencil import half_square, overlap
from wsgcn.propagate.graph import Sparse, adjacency, to_torch
from wsgcn.vocabulary import IGNORE

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


@dataclass(frozen=True)
class GcnObjective:
    """Eq. (2) for B images, ready to be evaluated at every step; N and K are those of the largest image.

    Attributes:
        images: B.
        foreground: ``(B N, K)``: 1 / |V_fg| at the label of each foreground node, else 0.
        background: ``(B N, K)``: 1 / |V_bg| at the label of each background node, else 0.
        unlabelled: ``(B N, 1)``: 1 / |V_ig| at each unlabelled node, else 0; divided by 21 for ``reference``.
        laplacian: ``(B N, B N)`` CSR, block-diagonal: (D - Φ) / N with the image's own N.
        absent: ``(B N, K)`` bool: columns that only other images have; None where there are none.
        on_log_probs: the Laplacian acts on log q (``reference``) instead of q (``paper``).
        entropy_weight: β1.
        laplacian_weight: β2.
    """

    images: int
    foreground: Tensor
    background: Tensor
    unlabelled: Tensor
    laplacian: Tensor
    absent: Tensor | None
    on_log_probs: bool
    entropy_weight: float
    laplacian_weight: float

    def __call__(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """The losses, and the gradient of what is minimised.

        The gradient is written out, since most of it is there already: D - Φ is symmetric, so that the product of
        eq. (6) is half its own gradient, and q log q of eq. (5) is part of its own.

        Args:
            logits: ``(B N, K)``, of which q is the softmax.

        Returns:
            The five numbers of ``LOSS_NAMES`` of each image, ``(B, 5)``, and the gradient of the first of them,
            ``(B N, K)``.
        """
        log_probs = self._log_probs(logits)
        probs = log_probs.exp()
        if self.absent is not None:
            log_probs = log_probs.masked_fill(self.absent, 0)
        uncertain = self.unlabelled * probs * log_probs
        signal = log_probs if self.on_log_probs else probs
        differences = self.laplacian @ signal
        foreground = -self._sum(self.foreground * log_probs)  # eq. (3)
        background = -self._sum(self.background * log_probs)  # eq. (4)
        entropy = -self._sum(uncertain)  # eq. (5)
        smooth = self._sum(signal * differences)  # eq. (6)
        total = foreground + background + self.entropy_weight * entropy + self.laplacian_weight * smooth  # eq. (2)

        gradient = differences.mul_(2 * self.laplacian_weight)
        if not self.on_log_probs:
            gradient *= probs  # of log q from here on
        gradient -= self.foreground
        gradient -= self.background
        gradient -= self.entropy_weight * (uncertain + self.unlabelled * probs)
        gradient -= probs * gradient.sum(dim=1, keepdim=True)  # of the logits, through log softmax
        return torch.stack([total, foreground, background, entropy, smooth], dim=1), gradient

    def to(self, device: torch.device) -> GcnObjective:
        """The same on a device."""
        parts: dict[str, Any] = {name: part.to(device) for name, part in vars(self).items() if isinstance(part, Tensor)}
        return replace(self, **parts)

    def probs(self, logits: Tensor) -> Tensor:
        """Q of eq. (1), ``(B N, K)``, 0 in columns that only other images have."""
        return self._log_probs(logits).exp()

    def _log_probs(self, logits: Tensor) -> Tensor:
        if self.absent is not None:
            logits = logits.masked_fill(self.absent, -torch.inf)
        # Over the rows of (K, B N): over the few columns of (B N, K) it takes three times as long.
        return torch.log_softmax(logits.T.contiguous(), dim=0).T.contiguous()

    def _sum(self, values: Tensor) -> Tensor:
        return values.reshape(self.images, -1).sum(dim=1)


def build_objective(
    labels: NDArray[np.uint8],
    classes: int,
    affinity: Sparse,
    kind: Literal["paper", "reference"],
    entropy_weight: float,
    laplacian_weight: float,
) -> GcnObjective:
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
    smoothness = laplacian(affinity).tocsr()  # self-loops cancel
    smoothness.data /= len(labels)
    averaged = 1 if kind == "paper" else REFERENCE_CLASSES
    return GcnObjective(
        images=1,
        foreground=foreground / foreground.sum().clamp(min=1),
        background=background / background.sum().clamp(min=1),
        unlabelled=unlabelled / unlabelled.sum().clamp(min=1) / averaged,
        laplacian=to_torch(smoothness),
        absent=None,
        on_log_probs=kind == "reference",
        entropy_weight=entropy_weight,
        laplacian_weight=laplacian_weight,
    )


def _dtype(matrix: Sparse) -> torch.dtype:
    return torch.from_numpy(matrix.data[:0]).dtype
