"""The segmentation network as MLflow loads it: photographs in, as paths or in base64, maps of class ids out.

MLflow calls :func:`_load_pyfunc` by the name of this module, which is why a model in MLflow is the checkpoint and
plain code, with nothing pickled, and why this file needs no MLflow.
"""

from __future__ import annotations

import base64
import binascii
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wsgcn.errors import DataError
from wsgcn.nets.deeplab import DeepLabV2, load_deeplab, predict_probs
from wsgcn.nets.prediction import labels_of
from wsgcn.runtime.devices import pick_device
from wsgcn.sections import Crf
from wsgcn.store.limits import require_allowed, shrunk_size
from wsgcn.store.photos import load_bounded, load_photo, photo_size

if TYPE_CHECKING:
    from wsgcn.sections import SegMerge

PHOTO = "photo"
"""The column that a data frame of photographs has."""
SHOWN = 40
"""Characters of a text that is no photograph, in the error about it."""


@dataclass(frozen=True)
class Segmenter:
    """A trained DeepLabv2 with its test-time augmentation and its CRF; `wsgcn predict` labels alike."""

    network: DeepLabV2
    scales: Sequence[float]
    flip: bool
    merge: SegMerge
    crf: Crf
    max_megapixels: float | None = None
    work_megapixels: float | None = None

    def predict(self, photos: Any) -> list[NDArray[np.uint8]]:
        """Label photographs.

        A text that names an existing file is its path. Any other must be the content of a photograph's file (JPEG, PNG,
        WebP or TIFF) in base64, so that a wrong path is an error.

        Args:
            photos: texts, as a list, an array or a data frame of one column.

        Returns:
            ``(H, W)`` uint8 class ids of each; a scoring server writes them as nested lists.

        Raises:
            DataError: a photograph is neither, or broken.
        """
        return [self._segment(text) for text in _texts(photos)]

    def _segment(self, text: object) -> NDArray[np.uint8]:
        size, rgb_u8 = _read(text, self.max_megapixels, self.work_megapixels)
        probs = predict_probs(self.network, rgb_u8, self.scales, self.flip, self.merge)
        return labels_of(probs, rgb_u8, self.crf, size=size)


def _texts(photos: Any) -> Iterator[object]:
    """The cells of what MLflow hands over: the column of a request by name is one cell that holds a list."""
    for cell in np.asarray(photos, dtype=object).ravel():
        yield from cell if isinstance(cell, list | tuple | np.ndarray) else [cell]


def _read(text: object, most: float | None, work: float | None) -> tuple[tuple[int, int], NDArray[np.uint8]]:
    """Rows and columns of a photograph, given as a path or in base64, and its pixels as the network sees them."""
    if not isinstance(text, str):
        raise DataError(f"a photograph is a text, a path or base64, not of type {type(text).__name__}")
    if _is_file(text):
        return load_bounded(Path(text), most, work)
    shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise DataError(f"{shown!r} is neither an existing file nor base64") from None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / PHOTO
        file.write_bytes(content)
        broken = DataError(f"{shown!r} is no existing file, and as base64 it is no whole picture")
        try:
            size = photo_size(file)
        except DataError:
            raise broken from None
        require_allowed(size, most)
        try:
            return size, load_photo(file, shrunk_size(size, work))
        except DataError:
            raise broken from None


def _is_file(text: str) -> bool:
    """Whether a text is the path of a file; base64 is too long for a path, and what holds a zero byte is none."""
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False


def _load_pyfunc(path: str, model_config: Mapping[str, Any]) -> Segmenter:
    """What MLflow calls with the checkpoint's path and the settings that were saved beside it."""
    network = load_deeplab(Path(path), pick_device(model_config["device"]))
    crf = Crf(**model_config["crf"])
    sizes = (model_config.get("max_megapixels"), model_config.get("work_megapixels"))
    return Segmenter(network, model_config["scales"], model_config["flip"], model_config["merge"], crf, *sizes)
