"""Learning from which classes a photograph shows, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from wsgcn.training.check import Measured, mean_recall
from wsgcn.training.distributed import shared_mean


def multi_hot(class_ids: Sequence[int], foreground_classes: int) -> Tensor:
    """Foreground class ids 1 … C-1 as a ``(C-1,)`` float32 vector of zeros and ones."""
    target = torch.zeros(foreground_classes)
    target[[class_id - 1 for class_id in class_ids]] = 1
    return target


def multi_label_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Mean cross-entropy of ``(B, M)`` logits over the M classes and the photographs of all processes."""
    return shared_mean(functional.multilabel_soft_margin_loss(logits.float(), target, reduction="none"))


def answers(logits: Tensor, target: Tensor) -> Tensor:
    """``(M, 5)``: photographs with a class, those right about it, photographs without it, those right, costs."""
    logits, shown = logits.float(), target > 0
    costs = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    counted = torch.stack([shown, shown & (logits > 0), ~shown, ~shown & (logits <= 0)], dim=2)
    return torch.cat([counted.double(), costs[..., None].double()], dim=2).sum(0)


def measured_answers(counts: Tensor) -> Measured:
    """Of added-up :func:`answers` the mean cross-entropy, and the mean of both recalls of each class."""
    shown, found, others, left = counts[:, :4].T
    known = shown > 0  # of a class that no photograph shows nothing can be said
    loss = counts[:, 4].sum() / (shown + others).sum()
    right, cases = torch.cat([found, left[known]]), torch.cat([shown, others[known]])
    # One answer for all photographs is right about those with a class or about those without it, if there are any.
    chance = int(known.sum()) / max(1, int((cases > 0).sum()))
    return Measured(float(loss), mean_recall(right, cases), chance)
