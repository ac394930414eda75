"""What MCIS's network minimises: the classes of two photographs, those that they share, and those that they do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from wsgcn.cams.co_attention_net import CoAttentionNet
from wsgcn.cams.fit import ClassifierLoss
from wsgcn.training.distributed import shared_sum
from wsgcn.training.optimiser import ParameterGroup
from wsgcn.training.tags import multi_label_loss

if TYPE_CHECKING:
    from wsgcn.cams.co_attention import CoAttentionTraining


class CoAttentionLoss(ClassifierLoss):
    """MCIS's network with its losses, each with weight 1.

    Source: Sun et al. (ECCV 2020), section 3; ``Classifier/scripts/train.py``, which also compares each photograph
    with its own views.
    """

    net: CoAttentionNet
    params: CoAttentionTraining

    def __init__(self, net: CoAttentionNet, params: CoAttentionTraining):
        super().__init__(net, params)

    def groups(self) -> list[ParameterGroup]:
        """The backbone; classifiers and co-attention learn ``head_lr_factor`` times faster."""
        backbone, head = super().groups()
        new = [part for module in (self.net.affinity, self.net.gate, self.net.common) for part in module.parameters()]
        return [backbone, {**head, "params": [*head["params"], *new]}]

    def forward(self, x: Tensor, target: Tensor, *partner: Tensor) -> Tensor:
        """Loss of photographs and their partners.

        Args:
            x: ``(B, 3, H, W)`` photographs.
            target: ``(B, C-1)`` :func:`~wsgcn.cams.fit.multi_hot` of their classes.
            partner: ``(B, 3, H, W)`` and ``(B, C-1)`` likewise, each of a photograph that shares a class.
        """
        other, other_target = partner
        features = self.net.features(x), self.net.features(other)
        attended = self.net.attended(*features)
        shared = target * other_target
        losses = [self._own(features, target, other_target), self._common(attended, shared)]
        for one, common, alone in zip(features, attended, (target - shared, other_target - shared)):
            losses.append(self._alone(self.net.rest(one, common), alone))
        for scale in self.params.views:
            pair = features[0], self.net.features(_view(x, scale))
            losses += [self._own(pair, target, target), self._common(self.net.attended(*pair), target)]
        return torch.stack(losses).sum()

    def counts(self, batch: Sequence[Tensor]) -> Tensor:
        """What the classifier knows of the photographs alone, without their partners."""
        return super().counts(batch[:2])

    def _own(self, pair: Sequence[Tensor], *targets: Tensor) -> Tensor:
        logits = [self.net.classifier(one.mean(dim=(2, 3), keepdim=True)).flatten(1) for one in pair]
        return multi_label_loss(torch.cat(logits), torch.cat(targets))

    def _common(self, pair: Sequence[Tensor], target: Tensor) -> Tensor:
        logits = torch.cat([self._common_logits(one) for one in pair])
        return multi_label_loss(logits, target.repeat(len(pair), 1))

    def _alone(self, rest: Tensor, target: Tensor) -> Tensor:
        """Only where any photograph of the whole batch has a class for itself, as published."""
        wanted = (shared_sum(target.sum()) > 0).float()
        return multi_label_loss(self._common_logits(rest), target) * wanted

    def _common_logits(self, features: Tensor) -> Tensor:
        return self.net.common(features.mean(dim=(2, 3), keepdim=True)).flatten(1)


def _view(x: Tensor, scale: float) -> Tensor:
    """The photographs at a scale; at 1 their mirror images, since else they would be what they are."""
    if scale == 1:
        return x.flip(3)
    size = [max(1, round(side * scale)) for side in x.shape[2:]]
    return functional.interpolate(x, size=size, mode="bilinear", align_corners=False, antialias=True)
