"""What ``rrm`` minimises, on what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from wsgcn.nets.deeplab import DeepLabV2
from wsgcn.ops.dense_energy import dense_energy
from wsgcn.ops.resize import downscale_rgb, grid_size, resized, to_class_ids
from wsgcn.segtrain.fit import NetworkLoss, cell_labels, label_counts
from wsgcn.segtrain.reliable import reliable_labels
from wsgcn.training.distributed import shared_count, shared_mean
from wsgcn.training.optimiser import ParameterGroup
from wsgcn.training.tags import multi_label_loss
from wsgcn.vocabulary import BACKGROUND, IGNORE

if TYPE_CHECKING:
    from wsgcn.segtrain.rrm import Rrm

NO_MAXIMUM = 1e-5
"""Added to each map's maximum before it is divided by it, as published."""


class RrmLoss(NetworkLoss):
    """A classifier beside DeepLabv2 on one backbone; its class activation maps label what they are sure of.

    Source: Zhang et al., "Reliability Does Matter: An End-to-End Weakly Supervised Semantic Segmentation Approach"
    (AAAI 2020), and its public code.
    """

    params: Rrm

    def __init__(self, network: DeepLabV2, params: Rrm):
        super().__init__(network, params)
        self.dropout = nn.Dropout2d(params.dropout)
        self.classifier = nn.Conv2d(network.backbone.channels[-1], network.classes - 1, 1, bias=False)
        nn.init.xavier_uniform_(self.classifier.weight)

    def classification_layer(self) -> nn.Conv2d:
        """Of the features to the C - 1 foreground classes."""
        return self.classifier

    def groups(self) -> list[ParameterGroup]:
        """DeepLabv2's, and the classifier, which learns as fast as the ASPP's weights."""
        return [
            *super().groups(),
            {"params": list(self.classifier.parameters()), "lr": self.params.lr * self.params.head_lr_factor},
        ]

    def forward(self, photos: Tensor, labels: Tensor, inside: Tensor, shown: Tensor) -> Tensor:
        """Loss of a batch of :class:`~wsgcn.segtrain.sample.TaggedSample`."""
        features = self.network.backbone.last_map(photos)
        logits = resized(self.network.aspp(features).float(), photos.shape[-2:])
        classes = self.classifier(self.dropout(features).mean(dim=(2, 3), keepdim=True)).flatten(1)
        targets = self._targets(features, photos, labels, inside, shown)
        return (
            multi_label_loss(classes, shown.float())
            + balanced_cross_entropy(logits, targets)
            + self._energy(logits.softmax(1), photos, targets, inside)
        )

    def counts(self, batch: Sequence[Tensor]) -> Tensor:
        """Those of the network by the labels that teach it."""
        photos, labels, inside, shown = batch
        features = self.network.backbone.last_map(photos)
        return label_counts(self.network.aspp(features), self._targets(features, photos, labels, inside, shown))

    def _targets(self, features: Tensor, photos: Tensor, labels: Tensor, inside: Tensor, shown: Tensor) -> Tensor:
        """``(B, H, W)`` uint8 class ids, 255 = not reliable: the method's, or those of the live maps."""
        if self.params.labels == "method":
            return labels
        cams = self._activation_maps(features, photos).cpu().numpy()
        rgb_u8 = self.network.backbone.to_rgb_u8(photos).permute(0, 2, 3, 1).cpu().numpy()
        found = torch.from_numpy(
            np.stack([self._labelled(*one) for one in zip(cams, rgb_u8, (shown > 0).cpu().numpy())])
        )
        return torch.where(inside, cell_labels(found, labels.shape[1:]).to(labels), IGNORE)

    def _labelled(
        self, cams: NDArray[np.float32], rgb_u8: NDArray[np.uint8], shown: NDArray[np.bool_]
    ) -> NDArray[np.uint8]:
        """``(h, w)`` class ids of one crop, by ``(C-1, h, w)`` maps, ``(H, W, 3)`` colours and which classes count."""
        maps = cams[shown] / (cams[shown].max(axis=(1, 2), keepdims=True) + NO_MAXIMUM)
        positions = reliable_labels(maps, downscale_rgb(rgb_u8, cams.shape[1:]), self.params.reliable)
        return to_class_ids(positions, np.array([BACKGROUND, *(np.flatnonzero(shown) + 1)]))

    @torch.no_grad()
    def _activation_maps(self, features: Tensor, photos: Tensor) -> Tensor:
        """``(B, C-1, h, w)`` maps ≥ 0 of crops, the mean over the scales; the features are those of scale 1."""
        total = torch.zeros((), device=photos.device)
        for scale in self.params.reliable.scales:
            seen = features if scale == 1 else self.network.backbone.last_map(_rescaled(photos, scale))
            total = total + resized(torch.relu(self.classifier(seen)).float(), features.shape[-2:])
        size = grid_size(photos.shape[2], photos.shape[3], self.params.reliable.stride)
        return resized(total / len(self.params.reliable.scales), size)

    def _energy(self, probs: Tensor, photos: Tensor, targets: Tensor, inside: Tensor) -> Tensor:
        params = self.params.energy
        if params.weight == 0:
            return probs.new_zeros(())
        rgb_u8 = self.network.backbone.to_rgb_u8(photos)
        numbers = params.model_dump(exclude={"weight"})
        return params.weight * shared_mean(dense_energy(probs, rgb_u8, targets, inside, **numbers))


def balanced_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean over the pixels of background, plus the mean over those of all other classes.

    Args:
        logits: ``(B, C, H, W)``.
        labels: ``(B, H, W)`` uint8 class ids, 255 = unlabelled.

    Returns:
        A scalar; where there are no pixels, their mean is 0.
    """
    costs = functional.cross_entropy(logits, labels.long(), ignore_index=IGNORE, reduction="none")
    background = labels == BACKGROUND
    parts = (background, ~background & (labels != IGNORE))
    return torch.stack([(costs * part).sum() / shared_count(part.sum()) for part in parts]).sum()


def _rescaled(photos: Tensor, scale: float) -> Tensor:
    return resized(photos, [max(1, int(side * scale)) for side in photos.shape[-2:]])
