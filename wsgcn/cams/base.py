"""What every kind of CAM source has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from wsgcn.sections import TrainedKind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from wsgcn.cams.album import Album
    from wsgcn.nets.deeplab import DeepLabV2
    from wsgcn.store.fingerprints import DigestedFile
    from wsgcn.store.index import ImageRecord
    from wsgcn.store.records import Cams
    from wsgcn.training.job import TrainingJob


SeenFile = tuple[Path, tuple[int, int] | None]
"""File of a photograph, with rows and columns at which it is seen; None = its own."""


class CamSource(TrainedKind):
    """Where class activation maps come from.

    Attributes:
        second_round: it starts from a segmentation network that another method trained, which its variant comes
            ``after``; others come after the dataset.
        has_classifier: what it trains is a classifier, as which a classification branch may start.
    """

    second_round: ClassVar[bool] = False
    has_classifier: ClassVar[bool] = False

    @property
    def backbone(self) -> str | None:
        """Name of the backbone that it trains, from which other networks may start (``weights: cams``); None = none."""
        return None

    @property
    def largest_scale(self) -> float:
        """Of a photograph, at which its network sees it."""
        return 1

    def learn(self, job: TrainingJob, after: Path) -> None:
        """Train, and write the job's checkpoint and history; here nothing is trained and the history is empty.

        Args:
            job: photographs, seed, devices, files to write.
            after: what the variant comes after: the dataset's index, or the checkpoint of a method's network.
        """
        job.learn_nothing()

    def start_modules(self) -> tuple[str, ...]:
        """Dotted names of the modules whose code decides what :meth:`start_segmentation` does."""
        return ()

    def start_segmentation(self, network: DeepLabV2, checkpoint: Path) -> None:
        """Let a segmentation network start as the one that :meth:`learn` wrote (``segtrain.weights: cams``).

        Only asked of a source with a :attr:`backbone`.

        Raises:
            DataError: the checkpoint is missing, broken, or another network's.
        """
        raise NotImplementedError

    def start_classifier(self, classifier: nn.Conv2d, checkpoint: Path) -> None:
        """Let a classification branch beside that network start as the classifier that :meth:`learn` wrote.

        A source that has none (:attr:`has_classifier`) leaves it as it is.

        Args:
            classifier: 1×1 convolution of the last map to the C - 1 foreground classes, without bias.
            checkpoint: of the source.

        Raises:
            DataError: the checkpoint is missing, broken, or another network's.
        """

    def reads(self, image: ImageRecord, photo: Path) -> list[Path]:
        """The files of one image that decide its maps; the network's is always among what decides them.

        Args:
            image: the photograph.
            photo: its file.
        """
        return [photo]

    def prepare(self, network: DigestedFile, class_names: Sequence[str], device: str) -> None:
        """Raise an error that concerns all images, such as a checkpoint of another network, before the first one."""

    def maps(
        self, image: ImageRecord, photo: Path, network: DigestedFile, class_names: Sequence[str], device: str
    ) -> NDArray[np.float32]:
        """The class activation maps of one photograph.

        Args:
            image: the photograph; ``image.class_ids`` are the K - 1 classes that it shows.
            photo: its file.
            network: checkpoint that :meth:`learn` wrote; a kind that learns nothing has none.
            class_names: of all C classes of the dataset by class id, background first.
            device: where to compute.

        Returns:
            ``(K-1, h, w)`` float32 in [0, 1], each map with maximum 1, or 0 everywhere where nothing is activated;
            any h and w.

        Raises:
            DataError: a file is missing or broken.
        """
        raise NotImplementedError

    @property
    def compares(self) -> bool:
        """Whether other training photographs decide the maps of one; only then is it asked for these, and with them."""
        return False

    def company(self, image: ImageRecord, album: Album) -> list[str]:
        """These other photographs, by their ids.

        Args:
            image: the photograph.
            album: the training photographs by their classes.
        """
        raise NotImplementedError

    def record_in_company(
        self,
        image: ImageRecord,
        photo: Path,
        company: Sequence[SeenFile],
        network: DigestedFile,
        class_names: Sequence[str],
        device: str,
    ) -> Cams:
        """:meth:`record` for a kind that compares.

        Args:
            image: the photograph.
            photo: its file.
            company: those that :meth:`company` names.
            network: as in :meth:`maps`, like what follows.
            class_names: of all C classes.
            device: where to compute.
        """
        raise NotImplementedError

    def record(
        self, image: ImageRecord, photo: Path, network: DigestedFile, class_names: Sequence[str], device: str
    ) -> Cams:
        """What is saved of one photograph: :meth:`maps`; a source with finer ones for each pixel overrides it."""
        import numpy as np

        from wsgcn.store.records import Cams

        maps = self.maps(image, photo, network, class_names, device)
        return Cams(np.array(image.class_ids, dtype=np.int64), maps)
