"""What CAM sources share whose network sees several photographs of the same classes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wsgcn.cams.learned import LearnedCams

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from wsgcn.cams.album import Album
    from wsgcn.cams.base import SeenFile
    from wsgcn.cams.net import CamNet
    from wsgcn.store.fingerprints import DigestedFile
    from wsgcn.store.index import ImageRecord
    from wsgcn.store.records import Cams
    from wsgcn.training.augment import ToInput


class GroupedCams(LearnedCams):
    """A classifier with which a photograph is seen beside others, when it trains and when its maps are made."""

    def others(
        self, album: Album, image_id: str, class_ids: Sequence[int], generator: torch.Generator
    ) -> Sequence[str]:
        """Ids of the photographs that train beside one.

        Args:
            album: the photographs to choose from.
            image_id: the photograph.
            class_ids: what it shows.
            generator: the only source of randomness.
        """
        raise NotImplementedError

    def activations(
        self, net: CamNet, photos: Sequence[NDArray[np.uint8]], class_ids: Sequence[int], device: str
    ) -> list[Tensor]:
        """Maps of a photograph's classes, ``(1, K-1, h', w')`` ≥ 0 of several sizes, which are to be added.

        Args:
            net: the trained network in evaluation.
            photos: ``(H, W, 3)`` of any sizes: the photograph, then those that :meth:`company` names.
            class_ids: the K - 1 foreground classes that it shows.
            device: where the network is.
        """
        raise NotImplementedError

    def sample(
        self,
        class_ids: Mapping[str, Sequence[int]],
        load: Callable[[str], NDArray[np.uint8]],
        foreground_classes: int,
        to_input: ToInput,
        trains: Collection[str],
    ) -> Callable[[str, torch.Generator], tuple[Tensor, ...]]:
        """Crop and classes of a photograph, and of each that trains beside it, which none does that measures."""
        from wsgcn.cams.album import Album, CompanySample

        single = super().sample(class_ids, load, foreground_classes, to_input, trains)
        return CompanySample(single, class_ids, Album.of({one: class_ids[one] for one in trains}), self.others)

    @property
    def compares(self) -> bool:
        """Yes."""
        return True

    def company(self, image: ImageRecord, album: Album) -> list[str]:
        """As in the training, by the photograph's id and whatever the run's seed."""
        from wsgcn.runtime.seeds import generator_for

        return [*self.others(album, image.id, image.class_ids, generator_for(0, "company", image.id))]

    def record_in_company(
        self,
        image: ImageRecord,
        photo: Path,
        company: Sequence[SeenFile],
        network: DigestedFile,
        class_names: Sequence[str],
        device: str,
    ) -> Cams:
        """What the network makes of the photograph beside the others."""
        import numpy as np
        import torch

        from wsgcn.cams.cam import on_grid_and_pixels
        from wsgcn.cams.net import load_cam_net
        from wsgcn.store.photos import load_photo
        from wsgcn.store.records import Cams

        net = load_cam_net(self, len(class_names), network, device)
        with torch.inference_mode():
            photos = [load_photo(*one) for one in ((photo, image.shrunk), *company)]
            merged = self.activations(net, photos, image.class_ids, device)
        maps = on_grid_and_pixels(merged, image.seen, net.backbone.strides[-1], self.infer)
        return Cams(np.array(image.class_ids, dtype=np.int64), *maps)
