"""What every CAM source has that trains a classifier of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import model_validator

from wsgcn.cams.base import CamSource
from wsgcn.ranges import BelowOne, ScaleRange, Scales, Side, Size
from wsgcn.sections import FreezeNorm, Interpolation, Jitter, NetworkTraining, Section, backbone_module

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from wsgcn.cams.net import CamNet
    from wsgcn.nets.deeplab import DeepLabV2
    from wsgcn.store.fingerprints import DigestedFile
    from wsgcn.store.index import ImageRecord
    from wsgcn.store.records import Cams
    from wsgcn.training.augment import ToInput
    from wsgcn.training.descent import TrainingLoss
    from wsgcn.training.job import TrainingJob


class ClassifierTraining(NetworkTraining):
    """What decides the classifier; exactly one of ``scale`` and ``long_side`` is given."""

    dropout: BelowOne
    scale: ScaleRange | None
    long_side: tuple[Side, Side] | None
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
    scales: Scales
    interpolation: Interpolation
    high_res: bool


class LearnedCams(CamSource):
    """A classifier of a backbone's last map, whose activation maps are the CAMs; a kind adds its network and its loss.

    Whatever the network has besides, its parts ``backbone`` and ``classifier`` are those of a
    :class:`~wsgcn.cams.net.CamNet`, from which other networks may start.
    """

    has_classifier: ClassVar[bool] = True

    train: ClassifierTraining
    infer: ClassifierInference

    @property
    def backbone(self) -> str:
        """The classifier's."""
        return self.train.backbone

    @property
    def largest_scale(self) -> float:
        """Of those whose maps are merged."""
        return max(self.infer.scales)

    def modules(self) -> tuple[str, ...]:
        """The kind's and the backbone's."""
        return (*super().modules(), backbone_module(self.train.backbone))

    def settings(self, classes: int) -> dict[str, Any]:
        """What decides the structure of the network for C classes, to be kept in its checkpoint."""
        return {"backbone": self.train.backbone, "output_stride": self.train.output_stride, "classes": classes}

    def network(self, classes: int, *, pretrained: bool) -> CamNet:
        """The network, new.

        Args:
            classes: number of classes C with the background.
            pretrained: load ``train.weights``; False where a checkpoint follows.
        """
        from wsgcn.cams.net import build_cam_net

        return build_cam_net(self.train, classes, pretrained=pretrained)

    def loss(self, net: CamNet) -> TrainingLoss:
        """The network with what it minimises on the batches of :meth:`sample`."""
        raise NotImplementedError

    def sample(
        self,
        class_ids: Mapping[str, Sequence[int]],
        load: Callable[[str], NDArray[np.uint8]],
        foreground_classes: int,
        to_input: ToInput,
        trains: Collection[str],
    ) -> Callable[[str, torch.Generator], tuple[Tensor, ...]]:
        """Makes the tensors of one photograph from its id and the one source of its random numbers, picklable.

        Args:
            class_ids: foreground classes of each photograph, by image id.
            load: gives an image id's ``(H, W, 3)`` uint8 photograph.
            foreground_classes: C - 1.
            to_input: of the backbone, normalises a photograph.
            trains: ids of the photographs that train; the others measure the network.
        """
        from wsgcn.cams.fit import ClassifierSample

        return ClassifierSample(class_ids, load, self.train, foreground_classes, to_input)

    def learn(self, job: TrainingJob, after: Path) -> None:
        """Train the network."""
        from wsgcn.cams.learn import learn_cams

        learn_cams(self, job)

    def start_modules(self) -> tuple[str, ...]:
        """The file that does it."""
        return ("wsgcn.cams.start",)

    def start_segmentation(self, network: DeepLabV2, checkpoint: Path) -> None:
        """The classifier's backbone, and its class activation maps as the ASPP's scores."""
        from wsgcn.cams.start import start_as_classifier

        start_as_classifier(network, checkpoint)

    def start_classifier(self, classifier: nn.Conv2d, checkpoint: Path) -> None:
        """The classifier itself."""
        from wsgcn.cams.start import take_classifier

        take_classifier(classifier, checkpoint)

    def prepare(self, network: DigestedFile, class_names: Sequence[str], device: str) -> None:
        """Load the network.

        Raises:
            DataError: the checkpoint is missing, broken, or another network's.
        """
        from wsgcn.cams.net import load_cam_net

        load_cam_net(self, len(class_names), network, device)

    def record(
        self, image: ImageRecord, photo: Path, network: DigestedFile, class_names: Sequence[str], device: str
    ) -> Cams:
        """CAMs summed over scales and mirrored copies, on the grid and, where wanted, of every pixel."""
        import numpy as np

        from wsgcn.cams.cam import photo_maps
        from wsgcn.cams.net import load_cam_net
        from wsgcn.store.records import Cams

        net = load_cam_net(self, len(class_names), network, device)
        maps = photo_maps(net, photo, image.class_ids, self.infer, device, image.shrunk)
        return Cams(np.array(image.class_ids, dtype=np.int64), *maps)
