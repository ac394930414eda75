"""Affinity ``affinitynet``: PSA's AffinityNet, a_ij = exp(-mean |f_i - f_j|) of learned features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from wsgcn.affinity.learned import AffinityTraining, LearnedAffinity, Seeds
from wsgcn.ranges import BelowOne, Exponent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from wsgcn.affinity.net import AffinityNetwork
    from wsgcn.nets.base import Backbone


class FeatureSeeds(Seeds):
    """Confident regions that teach AffinityNet."""

    cam_cut: BelowOne
    alphas: tuple[Exponent, Exponent]
    pooled: bool

    @model_validator(mode="after")
    def _saliency_is_of_pixels(self) -> FeatureSeeds:
        if self.pooled and self.saliency:
            raise ValueError("saliency changes labels of pixels, pooled ones are made of scores: set pooled to false")
        return self


class FeatureTraining(AffinityTraining):
    """What decides AffinityNet."""

    seeds: FeatureSeeds
    head_init: Literal["pytorch", "kaiming"]


class FeatureAffinity(LearnedAffinity):
    """PSA's AffinityNet (Ahn and Kwak, CVPR 2018)."""

    kind: Literal["affinitynet"]
    train: FeatureTraining

    def confident_labels(self, cams: NDArray[np.float32], rgb_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """PSA's: two exponents of the background score, each refined by a dense CRF."""
        from wsgcn.affinity.seeds import affinity_seeds

        return affinity_seeds(cams, rgb_u8, self.train.seeds)

    @property
    def pooled_seeds(self) -> bool:
        """As PSA has them, where that is wanted."""
        return self.train.seeds.pooled

    def seed_scores(
        self, cams: NDArray[np.float32], rgb_u8: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """PSA's: a score map for each exponent, refined by the dense CRF."""
        from wsgcn.affinity.seeds import affinity_seed_scores

        return affinity_seed_scores(cams, rgb_u8, self.train.seeds)

    def network(self, backbone: Backbone, *, freeze: bool) -> AffinityNetwork:
        """AffinityNet."""
        from wsgcn.affinity.net import AffinityNet

        net = AffinityNet(backbone, backbone.channels, freeze=freeze)
        if self.train.head_init == "kaiming":
            net.draw_heads()
        return net
