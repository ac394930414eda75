"""CAM source ``segmenter``: a second round, in which a trained segmentation network says where the classes are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from wsgcn.cams.base import CamSource
from wsgcn.ranges import Scales
from wsgcn.sections import BackboneName, Section, Stride, backbone_module

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from wsgcn.nets.deeplab import DeepLabV2
    from wsgcn.store.fingerprints import DigestedFile
    from wsgcn.store.index import ImageRecord
    from wsgcn.training.job import TrainingJob


class SegmenterTraining(Section):
    """What must be known of the network before it is there: its backbone, as in section ``segtrain``."""

    backbone: BackboneName


class SegmenterInference(Section):
    """How the network is run on the training photographs."""

    stride: Stride
    scales: Scales


class Segmenter(CamSource):
    """The segmentation network of a method, run on the photographs that taught it, with only their own classes allowed.

    It has seen all photographs, so that it knows what one photograph's labels got wrong and the others' got right. Its
    probabilities take the place of the CAMs; what follows is as in the first round.
    """

    second_round: ClassVar[bool] = True

    kind: Literal["segmenter"]
    train: SegmenterTraining
    infer: SegmenterInference

    @property
    def backbone(self) -> str:
        """The network's."""
        return self.train.backbone

    @property
    def largest_scale(self) -> float:
        """Of those whose maps are merged."""
        return max(self.infer.scales)

    def modules(self) -> tuple[str, ...]:
        """The kind's and the backbone's."""
        return (*super().modules(), backbone_module(self.train.backbone))

    def learn(self, job: TrainingJob, after: Path) -> None:
        """Take the network over."""
        from wsgcn.cams.segment import take_over

        take_over(job, after, self.train.backbone)

    def start_modules(self) -> tuple[str, ...]:
        """The file that does it."""
        return ("wsgcn.cams.start",)

    def start_segmentation(self, network: DeepLabV2, checkpoint: Path) -> None:
        """The first round's network itself."""
        from wsgcn.cams.start import start_as_network

        start_as_network(network, checkpoint)

    def prepare(self, network: DigestedFile, class_names: Sequence[str], device: str) -> None:
        """Load the network.

        Raises:
            DataError: the checkpoint is missing, broken, or another network's.
        """
        from wsgcn.cams.segment import load_segmenter

        load_segmenter(network, len(class_names), device)

    def maps(
        self, image: ImageRecord, photo: Path, network: DigestedFile, class_names: Sequence[str], device: str
    ) -> NDArray[np.float32]:
        """Probabilities of the photograph's classes, each divided by its maximum."""
        from wsgcn.cams.segment import load_segmenter, photo_maps

        net = load_segmenter(network, len(class_names), device)
        return photo_maps(net, photo, image.class_ids, self.infer.scales, self.infer.stride, image.shrunk)
