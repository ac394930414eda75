"""What DeepLabv2 minimises on pseudo labels: parameter groups and loss."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from wsgcn.nets.base import freeze_norms
from wsgcn.nets.deeplab import DeepLabV2, multi_scale_logits
from wsgcn.training.check import Measured, mean_recall
from wsgcn.training.descent import TrainingLoss
from wsgcn.training.distributed import shared_count
from wsgcn.training.optimiser import ParameterGroup
from wsgcn.vocabulary import IGNORE

if TYPE_CHECKING:
    from wsgcn.segtrain.base import SegmentationTraining
    from wsgcn.segtrain.deeplab import DeepLab


class NetworkLoss(TrainingLoss):
    """DeepLabv2 as every kind of training has it: what learns, and what photographs with labels say of it.

    Attributes:
        network: in training, but for its frozen norms.
        params: of the training; a kind narrows their type.
    """

    def __init__(self, network: DeepLabV2, params: SegmentationTraining):
        super().__init__()
        self.network = network.train()
        self.params = params
        freeze_norms(network, params.freeze_norm)

    def classification_layer(self) -> nn.Conv2d | None:
        """A layer beside the network that tells the photograph's classes, and may start as the CAM source's, if any."""
        return None

    def groups(self) -> list[ParameterGroup]:
        """See :func:`parameter_groups`."""
        return parameter_groups(self.network, self.params)

    def logits(self, photos: Tensor) -> Tensor:
        """``(B, 3, H, W)`` photographs to ``(B, C, h, w)`` logits, by which :meth:`counts` measures."""
        return cast("Tensor", self.network(photos))

    def counts(self, batch: Sequence[Tensor]) -> Tensor:
        """See :func:`label_counts`; a batch is photographs, labels, and whatever a kind has besides."""
        photos, labels = batch[:2]
        return label_counts(self.logits(photos), labels)

    def measured(self, counts: Tensor) -> Measured:
        """The mean cross-entropy of the cells, and the mean over the classes of their share of right cells.

        Where no cell is labelled, the loss is infinite: such a measurement is no better than any other.
        """
        number, right, costs = counts.T
        loss = float(costs.sum() / number.sum()) if number.any() else float("inf")
        return Measured(loss, mean_recall(right, number), 1 / max(1, int((number > 0).sum())))


class SegmentationLoss(NetworkLoss):
    """The loss of section 4.1: at every scale and for their maximum."""

    params: DeepLab

    def __init__(self, network: DeepLabV2, params: DeepLab):
        super().__init__(network, params)

    def forward(self, photos: Tensor, labels: Tensor) -> Tensor:
        """Loss of ``(B, 3, H, W)`` photographs and ``(B, H, W)`` uint8 labels."""
        return segmentation_loss(multi_scale_logits(self.network, photos, self.params.input_scales), labels)

    def logits(self, photos: Tensor) -> Tensor:
        """The maximum over the scales."""
        return multi_scale_logits(self.network, photos, self.params.input_scales)[-1]


def parameter_groups(network: DeepLabV2, params: SegmentationTraining) -> list[ParameterGroup]:
    """Backbone, ASPP weights and ASPP biases, each with its learning rate.

    Source: DeepLabv2's solver; its biases have no weight decay.
    """
    weights = [parameter for name, parameter in network.aspp.named_parameters() if name.endswith("weight")]
    biases = [parameter for name, parameter in network.aspp.named_parameters() if name.endswith("bias")]
    return [
        {"params": list(network.backbone.parameters()), "lr": params.lr},
        {"params": weights, "lr": params.lr * params.head_lr_factor},
        {"params": biases, "lr": params.lr * params.head_bias_lr_factor, "weight_decay": 0.0},
    ]


def segmentation_loss(scaled_logits: Iterable[Tensor], labels: Tensor) -> Tensor:
    """Sum over the scales of the mean cross-entropy over labelled cells.

    Args:
        scaled_logits: ``(B, C, h, w)`` each, of any size.
        labels: ``(B, H, W)`` uint8 class ids, 255 = unlabelled.

    Returns:
        A scalar; a scale where nothing is labelled adds 0.
    """
    return torch.stack([_cross_entropy(logits, labels) for logits in scaled_logits]).sum()


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    targets = cell_labels(labels, logits.shape[-2:])
    total = functional.cross_entropy(logits.float(), targets, ignore_index=IGNORE, reduction="sum")
    # PyTorch's own mean over no cell is 0 / 0.
    return total / shared_count((targets != IGNORE).sum())


def label_counts(logits: Tensor, labels: Tensor) -> Tensor:
    """``(C, 3)``: labelled cells of each class, how many of them are right, and their costs.

    Args:
        logits: ``(B, C, h, w)``.
        labels: ``(B, H, W)`` uint8 class ids, 255 = unlabelled, of any size.
    """
    logits = logits.float()
    targets = cell_labels(labels, logits.shape[-2:])
    there = targets != IGNORE
    costs = functional.cross_entropy(logits, targets, ignore_index=IGNORE, reduction="none")
    shown = functional.one_hot(targets[there], logits.shape[1]).double()  # (cells, C)
    right = (logits.argmax(1) == targets)[there].double()
    return torch.stack([shown.sum(0), right @ shown, costs[there].double() @ shown], dim=1)


def cell_labels(labels: Tensor, size: Sequence[int]) -> Tensor:
    """``(B, H, W)`` labels at another resolution, ``(B, *size)`` int64."""
    # "nearest" would take the label at a cell's corner, "nearest-exact" takes the one at its centre.
    cells = functional.interpolate(labels[:, None].float(), size=list(size), mode="nearest-exact")
    return cells[:, 0].long()  # (B, 1, h, w) -> (B, h, w)
