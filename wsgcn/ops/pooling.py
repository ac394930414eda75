"""From masks of classes to scores of whole photographs: normalised weighted pooling with a focal size penalty.

Source: Araslanov and Roth, "Single-Stage Semantic Segmentation from Image Labels" (CVPR 2020), and its public code.
"""

from __future__ import annotations

import torch
from torch import Tensor

BACKGROUND_LOGIT = 1.0
"""Of every cell, against which the classes must win."""


def with_background_logit(logits: Tensor) -> Tensor:
    """``(B, C-1, h, w)`` logits of the foreground classes as ``(B, C, h, w)``, a constant background in front."""
    return torch.cat([torch.full_like(logits[:, :1], BACKGROUND_LOGIT), logits], dim=1)


def mask_scores(logits: Tensor, focal_power: float, focal_shift: float) -> Tensor:
    """Scores of the foreground classes, to be compared with 0.

    A class's logits are averaged with its mask as the weights, so that its cells say whether it is there, not how many
    they are; the penalty is for masks that are small.

    Args:
        logits: ``(B, C, h, w)``, background first; their softmax are the masks m.
        focal_power: p, the larger, the less a mask of some size costs.
        focal_shift: λ > 0; an empty mask costs -log λ.

    Returns:
        ``(B, C-1)`` Σ m y / (1 + Σ m) + (1 - m̄)^p log(λ + m̄), with sums and the mean m̄ over the cells.
    """
    logits = logits.float().flatten(2)
    masks = logits.softmax(dim=1)
    size = masks.mean(dim=2)
    pooled = (masks * logits).sum(dim=2) / (1 + masks.sum(dim=2))
    return (pooled + (1 - size) ** focal_power * (focal_shift + size).log())[:, 1:]
