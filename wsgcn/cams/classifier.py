"""CAM source ``classifier``: a multi-label classifier learned from image-level labels, as in IRNet and PSA."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from wsgcn.cams.base import CamSource
from wsgcn.sections import (
    BelowOne,
    FreezeNorm,
    Interpolation,
    Jitter,
    NetworkTraining,
    Range,
    Section,
    Size,
    backbone_module,
)

if TYPE_CHECKING:
    from wsgcn.nets.deeplab import DeepLabV2
    from wsgcn.store.fingerprints import DigestedFile
    from wsgcn.store.index import ImageRecord
    from wsgcn.store.records import Cams
    from wsgcn.training.job import TrainingJob


class ClassifierTraining(NetworkTraining):
    """What decides the classifier; exactly one of ``scale`` and ``long_side`` is given."""

    dropout: BelowOne
    scale: Range | None
    long_side: Range | None
    interpolation: Interpolation
    jitter: Jitter | None
    head_init: Literal["pytorch", "normal", "xavier"]
    head_lr_factor: Size
    freeze_norm: FreezeNorm

    @model_validator(mode="after")
    def _one_size(self) -> ClassifierTraining:
        if (self.scale is None) == (self.long_side is None):
            raise ValueError("give scale (factors) or long_side (pixels), and null for the other")
        return self


class ClassifierInference(Section):
    """How CAMs are made with the classifier."""

    stride: Literal[1, 4, 8, 16]
    scales: Annotated[tuple[Size, ...], Field(min_length=1)]
    interpolation: Interpolation
    high_res: bool


class Classifier(CamSource):
    """A backbone, global average pooling and one linear layer, which applied to every cell gives the CAMs."""

    kind: Literal["classifier"]
    train: ClassifierTraining
    infer: ClassifierInference

    @property
    def backbone(self) -> str:
        """The classifier's."""
        return self.train.backbone

    def modules(self) -> tuple[str, ...]:
        """The kind's and the backbone's."""
        return (*super().modules(), backbone_module(self.train.backbone))

    def learn(self, job: TrainingJob, after: Path) -> None:
        """Train the classifier."""
        from wsgcn.cams.learn import learn_classifier

        learn_classifier(self.train, job)

    def start_modules(self) -> tuple[str, ...]:
        """The file that does it."""
        return ("wsgcn.cams.start",)

    def start_segmentation(self, network: DeepLabV2, checkpoint: Path) -> None:
        """The classifier's backbone, and its class activation maps as the ASPP's scores."""
        from wsgcn.cams.start import start_as_classifier

        start_as_classifier(network, checkpoint)

    def prepare(self, network: DigestedFile, class_names: Sequence[str], device: str) -> None:
        """Load the classifier.

        Raises:
            DataError: the checkpoint is missing, broken, or another network's.
        """
        from wsgcn.cams.net import load_cam_net

        load_cam_net(self.train, len(class_names), network, device)

    def record(
        self, image: ImageRecord, photo: Path, network: DigestedFile, class_names: Sequence[str], device: str
    ) -> Cams:
        """CAMs summed over scales and mirrored copies, on the grid and, where wanted, of every pixel."""
        import numpy as np

        from wsgcn.cams.cam import photo_maps
        from wsgcn.cams.net import load_cam_net
        from wsgcn.store.records import Cams

        net = load_cam_net(self.train, len(class_names), network, device)
        return Cams(
            np.array(image.class_ids, dtype=np.int64), *photo_maps(net, photo, image.class_ids, self.infer, device)
        )
