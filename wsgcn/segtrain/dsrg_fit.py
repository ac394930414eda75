"""What DSRG minimises: the cost of seeds that grow with each update, and the distance from a dense CRF's probabilities.

Source: Huang et al., "Weakly-Supervised Semantic Segmentation Network with Deep Seeded Region Growing" (CVPR 2018), and
its public code (speedinghzl/DSRG), whose layers are named below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsgcn.nets.deeplab import DeepLabV2
from wsgcn.ops.densecrf import CrfParams, dense_crf
from wsgcn.ops.growing import GrowthParams, grown
from wsgcn.ops.resize import downscale_rgb, to_class_ids
from wsgcn.segtrain.fit import NetworkLoss, cell_labels
from wsgcn.training.distributed import shared_mean
from wsgcn.vocabulary import BACKGROUND, IGNORE

if TYPE_CHECKING:
    from wsgcn.segtrain.dsrg import Dsrg

FLOOR = 1e-4
"""Least probability, before they are divided by their sum; ``min_prob`` of the public code."""
QUOTIENT = 20.0
"""Quotients of probabilities are kept in [1 / QUOTIENT, QUOTIENT], as ``ConstrainLossLayer`` has it."""


class GrowingLoss(NetworkLoss):
    """Seeds of a photograph grow by what the network says of it now, and teach it; both start anew at each update."""

    params: Dsrg

    def __init__(self, network: DeepLabV2, params: Dsrg):
        super().__init__(network, params)

    def forward(self, photos: Tensor, seeds: Tensor, inside: Tensor, shown: Tensor) -> Tensor:
        """Sum of both losses of a batch of :class:`~wsgcn.segtrain.sample.TaggedSample`; around it nothing grows."""
        probs = floored_softmax(self.logits(photos))
        size, params = (probs.shape[2], probs.shape[3]), self.params
        colours = self.network.backbone.to_rgb_u8(photos)
        refined = refined_probs(probs, colours, params.crf, params.softmax, params.output_stride)
        there = refined * cell_labels(inside, size)[:, None]
        grows = torch.cat([torch.ones_like(shown[:, :1]), shown], dim=1) > 0  # the background is on every photograph
        labels = grown_seeds(cell_labels(seeds, size), there, grows, params.growth)
        return seeding_loss(probs, labels) + boundary_loss(probs, refined)


def floored_softmax(logits: Tensor) -> Tensor:
    """``(B, C, h, w)`` probabilities off zero: ``SoftmaxLayer``."""
    probs = logits.float().softmax(1) + FLOOR
    return probs / probs.sum(1, keepdim=True)


def refined_probs(probs: Tensor, photos: Tensor, crf: CrfParams, softmax: bool, stride: int) -> Tensor:
    """What a dense CRF makes of each photograph's probabilities, off zero: ``CRFLayer``; without a gradient.

    Args:
        probs: ``(B, C, h, w)``, summing to 1 over C.
        photos: ``(B, 3, H, W)`` uint8.
        crf: its numbers, in pixels.
        softmax: start from the softmax of the probabilities, as the public code does, which takes them for energies.
        stride: pixels a cell of the probabilities.

    Returns:
        ``(B, C, h, w)`` on the device of ``probs``.
    """
    start = (probs.detach().softmax(1) if softmax else probs.detach()).cpu().numpy()
    size = (probs.shape[2], probs.shape[3])
    colours = photos.permute(0, 2, 3, 1).cpu().numpy()  # (B, 3, H, W) -> (B, H, W, 3)
    refined = np.stack([dense_crf(one, downscale_rgb(rgb, size), crf, stride) for one, rgb in zip(start, colours)])
    floored = refined.clip(FLOOR)
    return torch.from_numpy(floored / floored.sum(1, keepdims=True)).to(probs.device)


def grown_seeds(seeds: Tensor, refined: Tensor, shown: Tensor, growth: GrowthParams) -> Tensor:
    """The seeds of each photograph, grown where its refined probabilities are large: ``DSRGLayer``.

    Args:
        seeds: ``(B, h, w)`` class ids of classes that it shows, 255 = none.
        refined: ``(B, C, h, w)``.
        shown: ``(B, C)``, true for the background and the classes that the photograph shows: no other one grows.
        growth: probabilities above which a cell is grown over.

    Returns:
        ``(B, h, w)`` int64 class ids, 255 = not reached.
    """
    arrays = (seeds.byte().cpu().numpy(), refined.cpu().numpy(), shown.cpu().numpy())
    labels = [_grown(*one, growth) for one in zip(*arrays)]
    return torch.from_numpy(np.stack(labels)).long().to(seeds.device)


def _grown(
    seeds: NDArray[np.uint8], probs: NDArray[np.float32], shown: NDArray[np.bool_], growth: GrowthParams
) -> NDArray[np.uint8]:
    class_ids = np.flatnonzero(shown)
    positions = np.full(IGNORE + 1, IGNORE, dtype=np.uint8)
    positions[class_ids] = np.arange(len(class_ids))
    return to_class_ids(grown(positions[seeds], probs[class_ids], growth), class_ids)


def seeding_loss(probs: Tensor, labels: Tensor) -> Tensor:
    """Mean cost of a photograph's background labels, and that of its foreground labels: ``BalancedSeedLossLayer``.

    Args:
        probs: ``(B, C, h, w)`` above 0.
        labels: ``(B, h, w)`` int64 class ids, 255 = unlabelled.

    Returns:
        A scalar, the mean over the photographs of all processes; of labels that there are none of, the cost is 0.
    """
    known = labels != IGNORE
    costs = -probs.log().gather(1, labels.where(known, BACKGROUND)[:, None])[:, 0]  # (B, h, w)
    parts = (labels == BACKGROUND, known & (labels != BACKGROUND))
    means = [(costs * some).sum((1, 2)) / some.sum((1, 2)).clamp(min=1) for some in parts]
    return shared_mean(torch.stack(means).sum(0))


def boundary_loss(probs: Tensor, refined: Tensor) -> Tensor:
    """How far the probabilities are from those after the dense CRF: ``ConstrainLossLayer``.

    The gradient through the CRF is the public code's, (1 - refined) times that of the refined probabilities' logarithm:
    as if each of them were a logistic function of what goes in.

    Args:
        probs: ``(B, C, h, w)`` above 0.
        refined: ``(B, C, h, w)`` above 0, without a gradient.

    Returns:
        A scalar: the mean over the cells of all processes' photographs of KL(refined ‖ probs), whose quotients are kept
        in a range.
    """
    logs = refined.log() + (1 - refined) * (probs - probs.detach())
    after = logs.exp()
    quotients = (after / probs).clamp(1 / QUOTIENT, QUOTIENT)
    return shared_mean((after * quotients.log()).sum(1).mean((1, 2)))
