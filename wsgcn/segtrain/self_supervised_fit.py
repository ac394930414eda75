"""What ``self-supervised`` minimises, on what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from wsgcn.nets.deeplab import DeepLabV2
from wsgcn.ops.pamr import pamr
from wsgcn.ops.pooling import BACKGROUND_LOGIT, mask_scores, with_background_logit
from wsgcn.ops.resize import grid_size, resized
from wsgcn.segtrain.fit import NetworkLoss
from wsgcn.segtrain.gate import StochasticGate
from wsgcn.segtrain.own_labels import own_label_costs, own_labels
from wsgcn.store.index import ImageRecord, Index
from wsgcn.store.photos import load_photo
from wsgcn.training.augment import ToInput, jittered, random_crop
from wsgcn.training.check import Measured
from wsgcn.training.distributed import shared_mean
from wsgcn.training.optimiser import ParameterGroup
from wsgcn.training.tags import answers, measured_answers, multi_hot, multi_label_loss
from wsgcn.vocabulary import BACKGROUND

if TYPE_CHECKING:
    from wsgcn.segtrain.self_supervised import SelfSupervised

SHALLOW, DEEP = 1, -1
"""Which of a backbone's maps the gate mixes: the one at stride 4, and the last."""


class SelfSupervisedLoss(NetworkLoss):
    """DeepLabv2 with a constant background, the gate before its ASPP, and SingleStage's two losses.

    Source: Araslanov and Roth, "Single-Stage Semantic Segmentation from Image Labels" (CVPR 2020), and its public code.
    """

    params: SelfSupervised

    def __init__(self, network: DeepLabV2, params: SelfSupervised):
        super().__init__(network, params)
        channels = network.backbone.channels
        self.gate = StochasticGate(channels[SHALLOW], channels[DEEP], params.gate.width, params.gate.rate)
        self.own = params.pretrain == 0
        fix_background(network)

    def begin(self, update: int) -> None:
        """From some update on it learns from its own masks too."""
        self.own = update >= self.params.pretrain

    def groups(self) -> list[ParameterGroup]:
        """DeepLabv2's, and the gate, which learns as fast as the ASPP's weights."""
        rate = self.params.lr * self.params.head_lr_factor
        return [*super().groups(), {"params": list(self.gate.parameters()), "lr": rate}]

    def forward(self, photos: Tensor, shown: Tensor) -> Tensor:
        """Loss of ``(B, 3, H, W)`` photographs that show the classes ``(B, C-1)``."""
        logits = self.logits(photos)
        loss = multi_label_loss(self._scores(logits), shown)
        if not self.own:
            return loss
        labels = self.labels(photos, logits.detach(), shown)
        costs = own_label_costs(resized(logits, photos.shape[-2:]), labels, shown)
        return loss + self.params.own.weight * shared_mean(costs)

    def logits(self, photos: Tensor) -> Tensor:
        """``(B, 3, H, W)`` photographs to ``(B, C, h, w)`` float32 logits, those of the background constant."""
        maps = self.network.backbone(photos)
        # What the ASPP says of the background is the same number; this one has no gradient.
        return with_background_logit(self.network.aspp(self.gate(maps[SHALLOW], maps[DEEP]))[:, 1:].float())

    @torch.no_grad()
    def labels(self, photos: Tensor, logits: Tensor, shown: Tensor) -> Tensor:
        """Own labels of photographs, ``(B, H, W)``: of masks that were refined by the colours at a coarser grid."""
        refine, own, (height, width) = self.params.refine, self.params.own, photos.shape[-2:]
        grid = grid_size(height, width, refine.stride)
        # The refinement counts colours by their own deviation, so that normalised ones serve.
        colours = resized(photos.float(), grid, antialias=True)
        masks = pamr(colours, resized(logits, grid).softmax(1), refine.dilations, refine.iterations)
        there = functional.pad(shown, (1, 0), value=1)[:, :, None, None]  # (B, C-1) -> (B, C, 1, 1)
        return own_labels(resized(masks * there, (height, width)), own.foreground, own.background, own.floor)

    def counts(self, batch: Sequence[Tensor]) -> Tensor:
        """The answers about each class, ``(C-1, 5)``."""
        photos, shown = batch
        return answers(self._scores(self.logits(photos)), shown)

    def measured(self, counts: Tensor) -> Measured:
        """What the pooled masks say of photographs, as a classifier is measured: there are no labels of pixels."""
        return measured_answers(counts)

    def _scores(self, logits: Tensor) -> Tensor:
        return mask_scores(logits, self.params.focal.power, self.params.focal.shift)


@torch.no_grad()
def fix_background(network: DeepLabV2) -> None:
    """Make the background's logit the constant of :func:`~wsgcn.ops.pooling.with_background_logit`, everywhere.

    Neither gradient nor weight decay, of which biases have none, moves it, so that the network is the same for whoever
    loads it as for its loss.
    """
    branches = [branch for branch in network.aspp.branches if isinstance(branch, nn.Conv2d)]
    for branch in branches:
        assert branch.bias is not None
        branch.weight[BACKGROUND] = 0
        branch.bias[BACKGROUND] = BACKGROUND_LOGIT / len(branches)


@dataclass(frozen=True)
class JitteredSample:
    """Makes a random crop of a photograph, ``(3, crop, crop)``, and the vector of its classes, ``(C-1,)``."""

    index: Index
    params: SelfSupervised
    to_input: ToInput

    def __call__(self, image: ImageRecord, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The crop that the generator draws."""
        params = self.params
        photo = jittered(load_photo(self.index.photo_path(image), image.shrunk), params.jitter, generator)
        crop, _ = random_crop(photo, None, params.crop, params.scale, generator, self.to_input, params.interpolation)
        return crop, multi_hot(image.class_ids, len(self.index.class_names) - 1)
