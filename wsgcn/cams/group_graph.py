"""CAM source ``group-graph``: GroupWSSS's classifier, in which photographs of the same classes tell each other."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal, cast

from wsgcn.cams.grouped import GroupedCams
from wsgcn.cams.learned import ClassifierTraining
from wsgcn.ranges import Between, Factor, Fraction

if TYPE_CHECKING:
    from typing import Any

    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from wsgcn.cams.album import Album
    from wsgcn.cams.group_graph_net import GroupGraphNet
    from wsgcn.cams.net import CamNet
    from wsgcn.training.descent import TrainingLoss


class GroupGraphTraining(ClassifierTraining):
    """What decides the network.

    A group has ``group`` photographs, which tell each other ``rounds`` times. With probability ``drop_rate`` the graph
    dropout halves the strongest cells, those of at least ``drop_threshold`` times the maximum; else it weakens all, the
    strongest least. ``own_weight`` is that of the loss of each photograph alone.
    """

    group: Annotated[int, Between(2, 64)]
    rounds: Annotated[int, Between(1, 16)]
    drop_rate: Fraction
    drop_threshold: Fraction
    own_weight: Factor


class GroupGraph(GroupedCams):
    """GroupWSSS: a graph whose nodes are the activation maps of a group of photographs.

    Source: Li et al., "Group-Wise Semantic Mining for Weakly Supervised Semantic Segmentation" (AAAI 2021), and its
    public code.
    """

    kind: Literal["group-graph"]
    train: GroupGraphTraining

    def settings(self, classes: int) -> dict[str, Any]:
        """The classifier's, the group's size, and how often its photographs tell each other, also for the maps."""
        return super().settings(classes) | {"group": self.train.group, "rounds": self.train.rounds}

    def network(self, classes: int, *, pretrained: bool) -> CamNet:
        """The classifier with the graph."""
        from wsgcn.cams.group_graph_net import GroupGraphNet
        from wsgcn.cams.net import build_cam_net

        kind = partial(GroupGraphNet, params=self.train)
        return build_cam_net(self.train, classes, pretrained=pretrained, kind=kind)

    def loss(self, net: CamNet) -> TrainingLoss:
        """Cross-entropy of each photograph's classes, before and after the photographs told each other."""
        from wsgcn.cams.group_graph_fit import GroupGraphLoss

        return GroupGraphLoss(cast("GroupGraphNet", net), self.train)

    def others(
        self, album: Album, image_id: str, class_ids: Sequence[int], generator: torch.Generator
    ) -> Sequence[str]:
        """The others of the group: with exactly the photograph's classes if there are enough, else with one of them."""
        return album.group(image_id, class_ids, self.train.group - 1, generator)

    def activations(
        self, net: CamNet, photos: Sequence[NDArray[np.uint8]], class_ids: Sequence[int], device: str
    ) -> list[Tensor]:
        """The mean of the photograph's maps before and after its group told it."""
        from wsgcn.cams.group_graph_net import group_maps

        return group_maps(cast("GroupGraphNet", net), photos, class_ids, self.infer, device)
