"""What a segmentation network says of a photograph whose classes are known."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from wsgcn.errors import DataError, UsageError
from wsgcn.nets.deeplab import DeepLabV2, load_deeplab, predict_probs
from wsgcn.ops.resize import grid_size, resize_maps
from wsgcn.ops.scores import to_probs
from wsgcn.store.checkpoints import read_settings
from wsgcn.store.fingerprints import DigestedFile
from wsgcn.store.photos import load_photo
from wsgcn.training.job import TrainingJob
from wsgcn.training.loop import Trained
from wsgcn.vocabulary import BACKGROUND, CAM_NETWORK


def take_over(job: TrainingJob, checkpoint: Path, backbone: str) -> None:
    """Make a method's segmentation network the CAM source's own, under the name of a CAM source's network.

    Args:
        job: files to write.
        checkpoint: of stage ``segtrain``.
        backbone: that the network must have.

    Raises:
        DataError: the checkpoint is missing or broken.
        UsageError: its backbone is another.
    """
    network = load_deeplab(checkpoint, torch.device("cpu"))
    if network.backbone.name != backbone:
        raise UsageError(f"{job.section}.backbone is {backbone}, but {checkpoint} has {network.backbone.name}")
    job.save(CAM_NETWORK, read_settings(checkpoint, "segtrain"), network, Trained([], {}))


@lru_cache(maxsize=1)
def load_segmenter(network: DigestedFile, classes: int, device: str) -> DeepLabV2:
    """The network, loaded once a process.

    Raises:
        DataError: the checkpoint is missing, broken, or knows other classes.
    """
    net = load_deeplab(network.path, torch.device(device), CAM_NETWORK)
    if net.classes != classes:
        raise DataError(f"{network.path} knows {net.classes} classes, the dataset has {classes}: train it again")
    return net


def photo_maps(
    net: DeepLabV2,
    photo: Path,
    class_ids: Sequence[int],
    scales: Sequence[float],
    stride: int,
    shrunk: tuple[int, int] | None = None,
) -> NDArray[np.float32]:
    """Probabilities of a photograph's classes beside the background's, averaged over scales and mirrored copies.

    Args:
        net: the network.
        photo: file of the photograph.
        class_ids: the K - 1 foreground classes that it shows; all others are left out before the probabilities sum to
            1 again.
        scales: of the photograph.
        stride: pixels a cell.
        shrunk: rows and columns at which the photograph is seen; None = its own.

    Returns:
        ``(K-1, h, w)`` float32 in [0, 1], each class divided by its maximum, as a CAM is.

    Raises:
        DataError: the photograph is missing or broken.
    """
    rgb_u8 = load_photo(photo, shrunk)
    height, width = rgb_u8.shape[:2]
    probs = predict_probs(net, rgb_u8, scales, flip=True, merge="mean")
    shown = to_probs(probs[[BACKGROUND, *class_ids]])
    maps = resize_maps(shown, grid_size(height, width, stride))[1:]
    peak = maps.max(axis=(1, 2), keepdims=True)
    return np.asarray(maps / np.where(peak > 0, peak, 1))
