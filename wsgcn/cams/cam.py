"""From a trained classifier to the class activation maps of one photograph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from wsgcn.cams.net import CamNet
from wsgcn.ops.resize import grid_size
from wsgcn.store.photos import load_photo


def class_activation_maps(
    net: CamNet, x: Tensor, class_ids: Sequence[int], scales: Sequence[float], grid: tuple[int, int]
) -> NDArray[np.float32]:
    """Activation maps summed over scales and mirrored copies, each class divided by its maximum.

    Args:
        net: a trained classifier in evaluation.
        x: ``(3, H, W)`` normalised photograph.
        class_ids: the K - 1 foreground classes that it shows.
        scales: of the photograph.
        grid: rows and columns of the result.

    Returns:
        ``(K-1, h, w)`` float32 in [0, 1]; a class that is activated nowhere is 0 everywhere.

    Source: IRNet's multi-scale CAMs (Ahn et al., CVPR 2019).
    """
    height, width = x.shape[1:]
    wanted = torch.tensor([class_id - 1 for class_id in class_ids], device=x.device)
    total = torch.zeros((len(class_ids), *grid), device=x.device)
    with torch.inference_mode():
        for scale in scales:
            size = (max(1, round(height * scale)), max(1, round(width * scale)))
            scaled = functional.interpolate(x[None], size=size, mode="bilinear", align_corners=False, antialias=True)
            maps = net.activation_maps(torch.cat([scaled, scaled.flip(3)]))  # (2, C-1, h', w')
            merged = (maps[:1] + maps[1:].flip(3))[:, wanted]
            total += functional.interpolate(merged, size=grid, mode="bilinear", align_corners=False)[0]
    peak = total.amax(dim=(1, 2), keepdim=True)
    return (total / torch.where(peak > 0, peak, 1.0)).cpu().numpy()


def photo_maps(
    net: CamNet, photo: Path, class_ids: Sequence[int], scales: Sequence[float], stride: int, device: str
) -> NDArray[np.float32]:
    """:func:`class_activation_maps` of a file, at ``stride`` pixels a cell.

    Raises:
        DataError: the photograph is missing or broken.
    """
    x = net.backbone.to_input(load_photo(photo)).to(device)
    return class_activation_maps(net, x, class_ids, scales, grid_size(x.shape[1], x.shape[2], stride))
