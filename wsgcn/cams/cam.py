"""From a trained classifier to the class activation maps of one photograph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from wsgcn.cams.net import CamNet
from wsgcn.ops.resize import grid_size
from wsgcn.store.photos import load_photo

if TYPE_CHECKING:
    from wsgcn.cams.learned import ClassifierInference

Views = Callable[[NDArray[np.uint8], CamNet, Sequence[float], str], Iterator[Tensor]]
"""A photograph, who sees it, scales and a device, to a ``(1, 3, H', W')`` normalised photograph for each scale."""


def bilinear_views(rgb_u8: NDArray[np.uint8], net: CamNet, scales: Sequence[float], device: str) -> Iterator[Tensor]:
    """Normalised, then resized with smoothing on the device, where that takes no time."""
    x = net.backbone.to_input(rgb_u8).to(device)[None]
    for scale in scales:
        size = _scaled(rgb_u8, scale)
        yield functional.interpolate(x, size=size, mode="bilinear", align_corners=False, antialias=True)


def bicubic_views(rgb_u8: NDArray[np.uint8], net: CamNet, scales: Sequence[float], device: str) -> Iterator[Tensor]:
    """Resized by Pillow, which rounds to 8 bits, and then normalised, as IRNet and PSA do."""
    photo = Image.fromarray(rgb_u8)
    for scale in scales:
        height, width = _scaled(rgb_u8, scale)
        resized = photo.resize((width, height), Image.Resampling.BICUBIC)
        yield net.backbone.to_input(np.asarray(resized)).to(device)[None]


VIEWS: dict[str, Views] = {"bilinear": bilinear_views, "bicubic": bicubic_views}


def _scaled(rgb_u8: NDArray[np.uint8], scale: float) -> tuple[int, int]:
    return max(1, round(rgb_u8.shape[0] * scale)), max(1, round(rgb_u8.shape[1] * scale))


def activations(net: CamNet, views: Iterable[Tensor], class_ids: Sequence[int]) -> list[Tensor]:
    """The activations of a photograph's classes at several scales, each added to those of the mirror image.

    Args:
        net: a trained classifier in evaluation.
        views: ``(1, 3, H', W')`` normalised photograph at each scale.
        class_ids: the K - 1 foreground classes that it shows.

    Returns:
        ``(1, K-1, h', w')`` ≥ 0 for each scale.
    """
    merged = []
    with torch.inference_mode():
        for view in views:
            wanted = torch.tensor([class_id - 1 for class_id in class_ids], device=view.device)
            maps = net.activation_maps(view)[:, wanted]  # (1, K-1, h', w'); both at once would take twice the memory
            merged.append(maps + net.activation_maps(view.flip(3))[:, wanted].flip(3))
    return merged


def class_activation_maps(
    merged: Sequence[Tensor], covered: tuple[int, int], size: tuple[int, int]
) -> NDArray[np.float32]:
    """Activation maps summed over scales, each class divided by its maximum.

    Args:
        merged: :func:`activations`.
        covered: rows and columns to which the maps of each scale are stretched.
        size: rows and columns of the result; what lies beyond them is cut off before the maximum is taken.

    Returns:
        ``(K-1, *size)`` float32 in [0, 1]; a class that is activated nowhere is 0 everywhere.

    Source: the multi-scale CAMs of IRNet (Ahn et al., CVPR 2019) and PSA (Ahn and Kwak, CVPR 2018).
    """
    total = torch.zeros((merged[0].shape[1], *covered), device=merged[0].device)
    with torch.inference_mode():
        for maps in merged:
            total += functional.interpolate(maps, size=covered, mode="bilinear", align_corners=False)[0]
    total = total[:, : size[0], : size[1]]
    peak = total.amax(dim=(1, 2), keepdim=True)
    return (total / torch.where(peak > 0, peak, 1.0)).cpu().numpy()


def photo_maps(
    net: CamNet,
    photo: Path,
    class_ids: Sequence[int],
    params: ClassifierInference,
    device: str,
    shrunk: tuple[int, int] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The maps of a file, as :func:`on_grid_and_pixels` has them.

    Args:
        net: a trained classifier in evaluation.
        photo: the file.
        class_ids: the K - 1 foreground classes that it shows.
        params: stride of the grid, scales, how photographs are resized, whether each pixel is wanted.
        device: where the network is.
        shrunk: rows and columns at which the photograph is seen; None = its own.

    Raises:
        DataError: the photograph is missing or broken.
    """
    rgb_u8 = load_photo(photo, shrunk)
    merged = activations(net, VIEWS[params.interpolation](rgb_u8, net, params.scales, device), class_ids)
    return on_grid_and_pixels(merged, (rgb_u8.shape[0], rgb_u8.shape[1]), net.backbone.strides[-1], params)


def on_grid_and_pixels(
    merged: Sequence[Tensor], size: tuple[int, int], pixels: int, params: ClassifierInference
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Maps on the grid, ``(K-1, h, w)``, and those of every pixel, ``(K-1, H, W)``; empty if unwanted.

    The latter are stretched to whole cells of the classifier's last map and cropped (IRNet's ``high_res``).

    Args:
        merged: :func:`activations`.
        size: rows and columns of the photograph.
        pixels: of a cell of the classifier's last map.
        params: stride of the grid, whether each pixel is wanted.
    """
    grid = grid_size(*size, params.stride)
    maps = class_activation_maps(merged, grid, grid)
    if not params.high_res:
        return maps, maps[:0, :0, :0]
    rows, columns = grid_size(*size, pixels)
    return maps, class_activation_maps(merged, (rows * pixels, columns * pixels), size)
