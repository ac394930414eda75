"""The segmentation network as MLflow loads it: photograph paths in, maps of class ids out.

MLflow calls :func:`_load_pyfunc` by the name of this module, which is why a model in MLflow is the checkpoint and
plain code, with nothing pickled, and why this file needs no MLflow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wsgcn.nets.deeplab import DeepLabV2, load_deeplab, predict_probs
from wsgcn.nets.prediction import labels_of
from wsgcn.runtime.devices import pick_device
from wsgcn.sections import Crf
from wsgcn.store.photos import load_photo

if TYPE_CHECKING:
    from wsgcn.sections import SegMerge


@dataclass(frozen=True)
class Segmenter:
    """A trained DeepLabv2 with its test-time augmentation and its CRF; `wsgcn predict` labels alike."""

    network: DeepLabV2
    scales: Sequence[float]
    flip: bool
    merge: SegMerge
    crf: Crf

    def predict(self, photos: Any) -> list[NDArray[np.uint8]]:
        """Label photographs.

        Args:
            photos: their paths, as a list, an array or a data frame of one column.

        Returns:
            ``(H, W)`` uint8 class ids of each; a scoring server writes them as nested lists.
        """
        return [self._segment(Path(path)) for path in np.asarray(photos, dtype=object).ravel()]

    def _segment(self, photo: Path) -> NDArray[np.uint8]:
        rgb_u8 = load_photo(photo)
        probs = predict_probs(self.network, rgb_u8, self.scales, self.flip, self.merge)
        return labels_of(probs, rgb_u8, self.crf)


def _load_pyfunc(path: str, model_config: Mapping[str, Any]) -> Segmenter:
    """What MLflow calls with the checkpoint's path and the settings that were saved beside it."""
    network = load_deeplab(Path(path), pick_device(model_config["device"]))
    crf = Crf(**model_config["crf"])
    return Segmenter(network, model_config["scales"], model_config["flip"], model_config["merge"], crf)
