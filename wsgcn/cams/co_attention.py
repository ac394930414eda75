"""CAM source ``co-attention``: MCIS's classifier, which learns from what two photographs have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal, cast

from pydantic import Field

from wsgcn.cams.grouped import GroupedCams
from wsgcn.cams.learned import ClassifierInference, ClassifierTraining
from wsgcn.ranges import Between, Fraction, Scale

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from wsgcn.cams.album import Album
    from wsgcn.cams.co_attention_net import CoAttentionNet
    from wsgcn.cams.net import CamNet
    from wsgcn.store.index import ImageRecord
    from wsgcn.training.descent import TrainingLoss


class CoAttentionTraining(ClassifierTraining):
    """What decides the network; a crop is also compared with its ``views``, itself at these scales, at 1 mirrored."""

    views: Annotated[tuple[Scale, ...], Field(max_length=16)]


class CoAttentionInference(ClassifierInference):
    """How maps are made.

    ``maps`` are ``own``, those of the classifier that sees the photograph alone, or ``common``, as published: the
    photograph at the first scale is compared with its mirror image, with itself at the other scales, and with
    ``references`` photographs for each class. A map in which a class has no more than ``min_prob`` is left out.
    """

    maps: Literal["own", "common"]
    references: Annotated[int, Between(0, 16)]
    min_prob: Fraction


class CoAttention(GroupedCams):
    """MCIS: co-attention finds what two photographs share, contrastive co-attention what each has for itself.

    Source: Sun et al., "Mining Cross-Image Semantics for Weakly Supervised Semantic Segmentation" (ECCV 2020), and its
    public code.
    """

    kind: Literal["co-attention"]
    train: CoAttentionTraining
    infer: CoAttentionInference

    def network(self, classes: int, *, pretrained: bool) -> CamNet:
        """The classifier with the co-attention."""
        from wsgcn.cams.co_attention_net import CoAttentionNet
        from wsgcn.cams.net import build_cam_net

        return build_cam_net(self.train, classes, pretrained=pretrained, kind=CoAttentionNet)

    def loss(self, net: CamNet) -> TrainingLoss:
        """Cross-entropy of each photograph's classes, of those it shares with its partner, and of those it does not."""
        from wsgcn.cams.co_attention_fit import CoAttentionLoss

        return CoAttentionLoss(cast("CoAttentionNet", net), self.train)

    def others(
        self, album: Album, image_id: str, class_ids: Sequence[int], generator: torch.Generator
    ) -> Sequence[str]:
        """One partner, which shows one of the photograph's classes."""
        from wsgcn.cams.album import drawn

        return [album.drawn(image_id, drawn(class_ids, generator), generator)]

    @property
    def compares(self) -> bool:
        """Unless the maps are the photograph's own."""
        return self.infer.maps == "common"

    def company(self, image: ImageRecord, album: Album) -> list[str]:
        """References for each class, one class after the other, drawn by the photograph's id."""
        from wsgcn.runtime.seeds import generator_for

        generator = generator_for(0, "company", image.id)
        wanted = [one for one in image.class_ids for _ in range(self.infer.references)]
        return [album.drawn(image.id, one, generator) for one in wanted]

    def activations(
        self, net: CamNet, photos: Sequence[NDArray[np.uint8]], class_ids: Sequence[int], device: str
    ) -> list[Tensor]:
        """What is common to the photograph and its own views, and to it and the references."""
        from wsgcn.cams.co_attention_net import common_maps

        return common_maps(cast("CoAttentionNet", net), photos, class_ids, self.infer, device)
