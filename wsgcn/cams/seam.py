"""CAM source ``seam``: a classifier that must see the same in a small copy of a photograph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

from wsgcn.cams.learned import ClassifierInference, ClassifierTraining, LearnedCams
from wsgcn.ranges import Between, Factor, Share

if TYPE_CHECKING:
    from wsgcn.cams.net import CamNet
    from wsgcn.cams.seam_net import SeamNet
    from wsgcn.store.fingerprints import DigestedFile
    from wsgcn.store.index import ImageRecord
    from wsgcn.store.records import Cams
    from wsgcn.training.descent import TrainingLoss


class SeamTraining(ClassifierTraining):
    """What decides the network: a classifier's numbers, and those of the two views.

    ``small_scale`` is the second view's size, ``hard_share`` which part of the differences between corrected maps
    counts, the largest first, and ``min_pooling`` the weight of the loss that keeps a quarter of each photograph free
    of foreground.
    """

    small_scale: Annotated[float, Between(0.1, 1, below=True)]
    hard_share: Share
    min_pooling: Factor


class SeamInference(ClassifierInference):
    """How CAMs are made; with a ``stride`` of 1 they have a value for each pixel, and nothing finer is needed."""

    high_res: Literal[False]


class Seam(LearnedCams):
    """SEAM: activation maps that scale with the photograph, corrected by which pixels look alike.

    Source: Wang et al., "Self-supervised Equivariant Attention Mechanism for Weakly Supervised Semantic Segmentation"
    (CVPR 2020), and its public code.
    """

    kind: Literal["seam"]
    train: SeamTraining
    infer: SeamInference

    def network(self, classes: int, *, pretrained: bool) -> CamNet:
        """The classifier with the pixel correlation module."""
        from wsgcn.cams.net import build_cam_net
        from wsgcn.cams.seam_net import SeamNet

        return build_cam_net(self.train, classes, pretrained=pretrained, kind=SeamNet)

    def loss(self, net: CamNet) -> TrainingLoss:
        """Cross-entropy, both equivariance losses and the min-pooling loss."""
        from wsgcn.cams.seam_fit import SeamLoss

        return SeamLoss(cast("SeamNet", net), self.train)

    def record(
        self, image: ImageRecord, photo: Path, network: DigestedFile, class_names: Sequence[str], device: str
    ) -> Cams:
        """The corrected maps summed over scales and mirrored copies, each from 0 at its minimum to 1."""
        from wsgcn.cams.seam_net import stretched
        from wsgcn.store.records import Cams

        found = super().record(image, photo, network, class_names, device)
        return Cams(found.class_ids, stretched(found.cams))
