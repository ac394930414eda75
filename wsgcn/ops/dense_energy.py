"""The dense energy: what it costs that pixels close to each other and alike in colour are given different classes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from wsgcn.ops.densecrf import bilateral_filter
from wsgcn.vocabulary import IGNORE


def dense_energy(
    probs: Tensor,
    photos: Tensor,
    labels: Tensor,
    inside: Tensor,
    *,
    sigma_xy: float,
    sigma_rgb: float,
    scale: float,
) -> Tensor:
    """Gated dense energy of class probabilities, at a part of their resolution.

    Of the sum of a pixel's gate times the kernel times the products of two pixels' probabilities of *different*
    classes, what depends on the classes: minus the sum over equal ones. A labelled pixel's gate is 1 less its highest
    probability, so that what the cross-entropy has taught is not changed; that of the others is 1. A gate is no
    function of the probabilities.

    Args:
        probs: ``(B, C, H, W)``, summing to 1 over C.
        photos: ``(B, 3, H, W)`` uint8.
        labels: ``(B, H, W)`` uint8 class ids, 255 = unlabelled.
        inside: ``(B, H, W)`` bool, False beyond the photograph: such pixels take no part.
        sigma_xy: standard deviation of the places, in pixels before the reduction.
        sigma_rgb: standard deviation of the colours, in grey levels of 0 … 255.
        scale: of the resolution, in (0, 1].

    Returns:
        ``(B,)``, each ≤ 0, growing with the square of the pixels.

    Source: Zhang et al., "Reliability Does Matter" (AAAI 2020), section "Dense Energy Loss", with the value and
    gradient of its public code, which is based on Tang et al., "On Regularized Losses for Weakly-supervised CNN
    Segmentation" (ECCV 2018).
    """
    if scale != 1:
        probs = functional.interpolate(probs, scale_factor=scale, mode="bilinear", align_corners=False)
    photos, labels, inside = (_reduced(one, scale) for one in (photos, labels[:, None], inside[:, None]))
    there = probs * inside
    with torch.no_grad():
        gates = torch.where(labels == IGNORE, 1.0, (inside.float() - probs.amax(1, keepdim=True)).clamp(min=0))
        gated = gates * inside * _filtered(there, photos, sigma_xy * scale, sigma_rgb)
    energy = -(there * gated).sum(dim=(1, 2, 3))
    # Each probability stands on both sides of a product: twice the gradient of one side, and once the value.
    return 2 * energy - energy.detach()


def _reduced(maps: Tensor, scale: float) -> Tensor:
    """``(B, n, H, W)`` integers, each cell the pixel at its upper left corner, as published."""
    if scale == 1:
        return maps
    return functional.interpolate(maps.float(), scale_factor=scale, mode="nearest").to(maps.dtype)


def _filtered(maps: Tensor, photos: Tensor, sigma_xy: float, sigma_rgb: float) -> Tensor:
    """:func:`~wsgcn.ops.densecrf.bilateral_filter` of each photograph of a batch, on its device."""
    found = [
        bilateral_filter(some, rgb_u8, sigma_xy, sigma_rgb)
        for some, rgb_u8 in zip(maps.cpu().numpy(), photos.permute(0, 2, 3, 1).cpu().numpy())
    ]
    return torch.from_numpy(np.stack(found)).to(maps.device)
