"""Labels that a network makes of its own masks, and what it costs to miss them.

Source: the public code of Araslanov and Roth, "Single-Stage Semantic Segmentation from Image Labels" (CVPR 2020).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from wsgcn.vocabulary import BACKGROUND, IGNORE


def own_labels(masks: Tensor, foreground: float, background: float, floor: float) -> Tensor:
    """The class of each pixel that is among the surest of one class alone.

    Args:
        masks: ``(B, C, H, W)`` in [0, 1], background first; 0 for a class that the photograph does not show.
        foreground: share of a class's maximum in the photograph that a pixel must exceed.
        background: the same for the background.
        floor: what it must exceed in any case.

    Returns:
        ``(B, H, W)`` int64 class ids, 255 where no class or more than one is sure.
    """
    shares = masks.new_full((masks.shape[1], 1, 1), foreground)
    shares[BACKGROUND] = background
    sure = masks > (shares * masks.amax(dim=(2, 3), keepdim=True)).clamp(min=floor)
    return torch.where(sure.sum(dim=1) == 1, sure.byte().argmax(dim=1), IGNORE)


def own_label_costs(logits: Tensor, labels: Tensor, shown: Tensor) -> Tensor:
    """Cross-entropy in which each class of a photograph counts by how rare its labels are there.

    Args:
        logits: ``(B, C, H, W)``, background first.
        labels: ``(B, H, W)`` of :func:`own_labels`.
        shown: ``(B, C-1)`` zeros and ones: the photographs' classes.

    Returns:
        ``(B,)`` mean over all pixels, the unlabelled ones with 0, of cost · (n - n_c) / (n + 1), where n are the
        labelled pixels and n_c those of the same class; 0 for a photograph one of whose classes, or whose background,
        has no label.
    """
    flat = labels.flatten(1)
    ones = torch.ones_like(flat, dtype=logits.dtype)
    counts = ones.new_zeros(len(flat), IGNORE + 1).scatter_add_(1, flat, ones)[:, : logits.shape[1]]
    total = counts.sum(dim=1, keepdim=True)
    weights = functional.pad((total - counts) / (total + 1), (0, IGNORE + 1 - logits.shape[1]))
    costs = functional.cross_entropy(logits, labels, ignore_index=IGNORE, reduction="none").flatten(1)
    complete = (counts > 0).sum(dim=1) == shown.sum(dim=1) + 1
    return complete * (weights.gather(1, flat) * costs).mean(dim=1)
