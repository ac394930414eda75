"""What affinities with a network share: parameters, and when it learns and is run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsgcn.affinity.base import AffinityKind
from wsgcn.ranges import Cell, Factor, Radius, ScaleRange, Share
from wsgcn.sections import (
    Border,
    Crf,
    Interpolation,
    Jitter,
    NetworkTraining,
    SaliencyBesideCams,
    Section,
    Stride,
    backbone_module,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from wsgcn.affinity.net import AffinityNetwork
    from wsgcn.nets.base import Backbone
    from wsgcn.store.fingerprints import DigestedFile
    from wsgcn.store.index import ImageRecord
    from wsgcn.store.records import Affinity
    from wsgcn.training.job import TrainingJob


class Seeds(Section):
    """Confident regions that teach an affinity network."""

    stride: Cell
    crf: Crf
    saliency: SaliencyBesideCams | None


class AffinityTraining(NetworkTraining):
    """What decides an affinity network."""

    stride: Stride
    radius: Radius
    seeds: Seeds
    scale: ScaleRange
    interpolation: Interpolation
    border: Border
    jitter: Jitter | None
    backbone_lr_factor: Factor
    offset_share: Share

    def files(self) -> tuple[str, ...]:
        """Weights, and the folder of saliency maps."""
        return (*super().files(), *([self.seeds.saliency.folder] if self.seeds.saliency else []))


class AffinityInference(Section):
    """How graph and node features are made with the network."""

    radius: Radius
    whole_cells: bool


class LearnedAffinity(AffinityKind):
    """An affinity network on a backbone, taught by what the CAMs are confident of."""

    train: AffinityTraining
    infer: AffinityInference

    @property
    def backbone(self) -> str:
        """The network's."""
        return self.train.backbone

    def modules(self) -> tuple[str, ...]:
        """The kind's file and the backbone's."""
        return (*super().modules(), backbone_module(self.train.backbone))

    def graph_settings(self) -> dict[str, Any]:
        """Reach of the graph, and its grid."""
        return {**super().graph_settings(), "stride": self.train.stride}

    def confident_labels(self, cams: NDArray[np.float32], rgb_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Positions among the image's K classes, 255 = ignored, ``(H, W)``, from CAMs ``(K-1, H, W)``."""
        raise NotImplementedError

    @property
    def pooled_seeds(self) -> bool:
        """Labels of a crop's cells follow from :meth:`seed_scores` averaged over the cells' pixels."""
        return False

    def seed_scores(
        self, cams: NDArray[np.float32], rgb_u8: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Two ``(K, H, W)`` maps from CAMs ``(K-1, H, W)``: the first finds foreground, the second background."""
        raise NotImplementedError

    def network(self, backbone: Backbone, *, freeze: bool) -> AffinityNetwork:
        """A new network on a backbone, which neither learns nor keeps gradients where ``freeze`` is set."""
        raise NotImplementedError

    def structure(self) -> dict[str, Any]:
        """What decides the network's structure, to be kept in the checkpoint."""
        return self.train.model_dump(include={"backbone", "output_stride"})

    def learn(
        self, job: TrainingJob, variant: str, cams: Callable[[str], Path], seeds: Path, start: DigestedFile
    ) -> None:
        """Write the seeds, and train the network on them."""
        from wsgcn.affinity.learn import learn_affinity

        learn_affinity(self, job, variant, cams, seeds, start)

    def prepare(self, network: DigestedFile, device: str) -> None:
        """Load the network.

        Raises:
            DataError: the checkpoint is missing, broken, or another network's.
        """
        from wsgcn.affinity.infer import load_network

        load_network(self, network, device)

    def graph(self, image: ImageRecord, photo: Path, network: DigestedFile, device: str) -> Affinity:
        """Graph and node features of one photograph by the network."""
        from wsgcn.affinity.infer import affinity_of_photo, load_network

        return affinity_of_photo(self, load_network(self, network, device), photo, device, image.shrunk)

    def features(self, net: AffinityNetwork, x: Tensor) -> Tensor:
        """What decides the affinities, ``(B, F, h, w)``, of ``(B, 3, H, W)`` normalised photographs.

        Photographs are padded with zeros to whole cells where these are wanted, as in PSA.
        """
        from wsgcn.affinity.infer import one_view_features, padded

        stride = self.train.stride
        return one_view_features(net, padded(x, stride) if self.infer.whole_cells else x, stride)

    def nodes(self, net: AffinityNetwork, features: Tensor) -> Tensor:
        """V of eq. (1), ``(B, F, h, w)``, from :meth:`features`."""
        return features
