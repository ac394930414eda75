"""Pixel-adaptive mask refinement (PAMR): masks that follow the colours of a photograph, without a learned affinity.

Source: Araslanov and Roth, "Single-Stage Semantic Segmentation from Image Labels" (CVPR 2020).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

CONTRAST = 0.1
"""Share of the colours' local deviation that counts as one unit of their distance, public code."""


def pamr(colours: Tensor, masks: Tensor, dilations: Sequence[int], iterations: int) -> Tensor:
    """Give each cell the weighted mean of its neighbours, again and again.

    Args:
        colours: ``(B, 3, h, w)`` float, in any unit that is not tiny.
        masks: ``(B, K, h, w)`` float, on the same cells.
        dilations: distances of the neighbours, in cells; eight neighbours for each.
        iterations: how often.

    Returns:
        ``(B, K, h, w)``; every value stays within its mask's range, and masks that sum to 1 still do.
    """
    weights = local_affinity(colours, dilations).split(1, dim=1)
    for _ in range(iterations):
        total = torch.zeros_like(masks)
        for weight, near in zip(weights, neighbours(masks, dilations)):
            total.addcmul_(weight, near)
        masks = total
    return masks


def local_affinity(colours: Tensor, dilations: Sequence[int]) -> Tensor:
    """How much a cell listens to each of its P = 8 · ``len(dilations)`` neighbours, by their colours.

    Returns:
        ``(B, P, h, w)`` in [0, 1], summing to 1 over P: the softmax of minus the mean over the channels of
        |x_i - x_j| / (0.1 σ_i), where σ_i is the deviation among the neighbours and, once a dilation, the cell itself.
    """
    distance = colours.new_zeros(())
    for channel in colours.split(1, dim=1):
        near = torch.cat([*neighbours(channel, dilations)], dim=1)
        around = torch.cat([near, channel.expand(-1, len(dilations), -1, -1)], dim=1)
        deviation = around.std(dim=1, keepdim=True)
        distance = distance + (near - channel).abs() / (CONTRAST * deviation + 1e-8)
    return (-distance / colours.shape[1]).softmax(dim=1)


def neighbours(maps: Tensor, dilations: Sequence[int]) -> Iterator[Tensor]:
    """The maps as each neighbour has them, ``(B, C, h, w)``; beyond the border the outermost cell goes on."""
    reach, (height, width) = max(dilations), maps.shape[-2:]
    padded = functional.pad(maps, [reach] * 4, mode="replicate")
    for step in dilations:
        for dy, dx in ((dy, dx) for dy in (-step, 0, step) for dx in (-step, 0, step) if dy or dx):
            yield padded[..., reach + dy : reach + dy + height, reach + dx : reach + dx + width]
