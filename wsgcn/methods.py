"""What is compared: variants and methods, as ``params.yaml`` names them and with what they name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsgcn.sections import Section

if TYPE_CHECKING:
    from wsgcn.affinity.base import AffinityKind
    from wsgcn.cams.base import CamSource
    from wsgcn.crf.base import Refinement
    from wsgcn.propagate.base import Propagation
    from wsgcn.segtrain.base import SegmentationTraining

FIRST_ROUND, SECOND_ROUND = "dataset/index.json", re.compile(r"segtrain/([^/]+)/checkpoint\.pt")
"""What a variant comes after, below ``artifacts``."""


class VariantNames(Section):
    """A variant: names of a CAM source and an affinity, and what it comes after.

    ``after`` is ``dataset/index.json``, or ``segtrain/<method>/checkpoint.pt`` for a second round, whose CAM source
    starts from that network. It is a file of ``artifacts``, on which ``cams-train`` depends in ``dvc.yaml``.
    """

    cams: str
    affinity: str
    after: str

    @property
    def teacher(self) -> str | None:
        """The method whose network it comes after; None in a first round."""
        found = SECOND_ROUND.fullmatch(self.after)
        return found[1] if found else None


class MethodNames(Section):
    """A method: names of a variant, a propagation, a CRF and a segmentation training."""

    variant: str
    propagation: str
    crf: str
    segtrain: str


@dataclass(frozen=True)
class Variant:
    """A CAM source with an affinity.

    Attributes:
        name: of the variant.
        cams: the CAM source.
        affinity: the affinity.
        after: file below ``artifacts`` that its CAM source starts from.
        rounds: names of the variants of the rounds before it, the first one first, and its own.
        cams_name: name of the CAM source's entry.
        affinity_name: name of the affinity's entry.
    """

    name: str
    cams: CamSource
    affinity: AffinityKind
    after: str
    rounds: tuple[str, ...]
    cams_name: str
    affinity_name: str


@dataclass(frozen=True)
class Method:
    """A way to make pseudo labels and a network: a variant with a propagation, its CRF and a segmentation training.

    Attributes:
        name: of the method.
        variant: its variant.
        propagation: its propagation.
        crf: what refines its scores into labels.
        segtrain: how its segmentation network is trained.
        propagation_name: name of the propagation's entry.
        crf_name: name of the CRF's entry.
        segtrain_name: name of the segmentation training's entry.
    """

    name: str
    variant: Variant
    propagation: Propagation
    crf: Refinement
    segtrain: SegmentationTraining
    propagation_name: str
    crf_name: str
    segtrain_name: str
