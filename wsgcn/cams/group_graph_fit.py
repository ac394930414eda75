"""What GroupWSSS's network minimises: the classes of each photograph of a group, before and after the graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsgcn.cams.fit import ClassifierLoss
from wsgcn.cams.group_graph_net import GroupGraphNet
from wsgcn.training.optimiser import ParameterGroup
from wsgcn.training.tags import multi_label_loss

if TYPE_CHECKING:
    from wsgcn.cams.group_graph import GroupGraphTraining


class GroupGraphLoss(ClassifierLoss):
    """GroupWSSS's network with its loss.

    Source: Li et al. (AAAI 2021), ``train.py``.
    """

    net: GroupGraphNet
    params: GroupGraphTraining

    def __init__(self, net: GroupGraphNet, params: GroupGraphTraining):
        super().__init__(net, params)

    def groups(self) -> list[ParameterGroup]:
        """The backbone; classifier and graph learn ``head_lr_factor`` times faster."""
        backbone, head = super().groups()
        graph = (self.net.asked, self.net.answering, self.net.gate, self.net.fusion, self.net.memory)
        new = [part for module in graph for part in module.parameters()]
        return [backbone, {**head, "params": [*head["params"], *new]}]

    def forward(self, x: Tensor, target: Tensor, *others: Tensor) -> Tensor:
        """Loss of groups: the mean over their photographs of both losses, that before the graph with a weight.

        Args:
            x: ``(B, 3, H, W)`` photographs.
            target: ``(B, C-1)`` :func:`~wsgcn.cams.fit.multi_hot` of their classes.
            others: likewise of each other photograph of the groups, one after the other.
        """
        photographs, targets = (x, *others[::2]), torch.cat([target, *others[1::2]])
        maps = self.net.class_maps(torch.cat(photographs))
        told = torch.cat(self.net.told(maps.chunk(len(photographs))))
        before, after = (multi_label_loss(one.mean(dim=(2, 3)), targets) for one in (maps, told))
        return (self.params.own_weight * before + after) / 2

    def counts(self, batch: Sequence[Tensor]) -> Tensor:
        """What the classifier knows of the photographs alone, without their groups."""
        return super().counts(batch[:2])
