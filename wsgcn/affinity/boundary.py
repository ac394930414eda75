"""Affinity ``boundary``: IRNet's boundary branch, a_ij = 1 - the highest boundary on the straight path from i to j."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from wsgcn.affinity.learned import AffinityInference, AffinityTraining, LearnedAffinity, Seeds
from wsgcn.ranges import Fraction, Pixels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from wsgcn.affinity.net import AffinityNetwork
    from wsgcn.nets.base import Backbone


class BoundarySeeds(Seeds):
    """Confident regions that teach IRNet's boundary."""

    foreground: Fraction
    background: Fraction
    gt_prob: Fraction


class BoundaryTraining(AffinityTraining):
    """What decides the boundary branch."""

    displacement: bool
    seeds: BoundarySeeds


class BoundaryInference(AffinityInference):
    """How boundary, graph and node features are made with the branch."""

    pad_to: Pixels | None
    weighted: bool


class Boundary(LearnedAffinity):
    """IRNet's boundary branch (Ahn et al., CVPR 2019)."""

    kind: Literal["boundary"]
    train: BoundaryTraining
    infer: BoundaryInference

    def confident_labels(self, cams: NDArray[np.float32], rgb_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """IRNet's: two thresholds, each refined by a dense CRF."""
        from wsgcn.affinity.seeds import boundary_seeds

        return boundary_seeds(cams, rgb_u8, self.train.seeds)

    def network(self, backbone: Backbone, *, freeze: bool) -> AffinityNetwork:
        """The boundary branch, and IRNet's displacement field where it is asked for."""
        from wsgcn.affinity.net import BoundaryBranch

        return BoundaryBranch(backbone, backbone.channels, freeze=freeze, displacement=self.train.displacement)

    def features(self, net: AffinityNetwork, x: Tensor) -> Tensor:
        """Of one view, or as IRNet has them, of the padded photograph and its mirror image."""
        from wsgcn.affinity.infer import padded_features

        if self.infer.pad_to is None:
            return super().features(net, x)
        return padded_features(net, x, self.train.stride, self.infer.pad_to)

    def nodes(self, net: AffinityNetwork, features: Tensor) -> Tensor:
        """The features, where wanted times the weights with which the boundary's logit is their sum (public WSGCN)."""
        return features * net.last.weight if self.infer.weighted else features

    def structure(self) -> dict[str, Any]:
        """Backbone, output stride, displacement field."""
        return self.train.model_dump(include={"backbone", "output_stride", "displacement"})
