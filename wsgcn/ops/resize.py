"""Resizing of score maps and photographs between the grid and the pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from wsgcn.vocabulary import IGNORE

STRIP = 2**24
"""Scores that are enlarged at once, 64 MB."""


def grid_size(height: int, width: int, stride: int) -> tuple[int, int]:
    """Rows and columns of the grid at a stride: ⌈H / stride⌉ × ⌈W / stride⌉."""
    return -(-height // stride), -(-width // stride)


def resized(maps: Tensor, size: Sequence[int], *, align_corners: bool = False, antialias: bool = False) -> Tensor:
    """``(B, F, h, w)`` maps bilinearly at another size, ``(B, F, *size)``, with gradients.

    Args:
        maps: of any floating-point type.
        size: rows and columns of the result.
        align_corners: put the centres of the corner cells on one another, instead of the cells' outer corners.
        antialias: smooth what is made smaller.
    """
    return functional.interpolate(
        maps, size=list(size), mode="bilinear", align_corners=align_corners, antialias=antialias
    )


def resize_maps(maps: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Bilinear resizing of ``(K, h, w)`` maps to ``(K, *size)`` float32, without smoothing; half-pixel centres.

    Values stay within the range of the input, and a constant map stays constant.
    """
    floats = np.ascontiguousarray(maps, dtype=np.float32)
    if floats.shape[1:] == size:
        return floats
    tensor = torch.from_numpy(floats)[None]
    return functional.interpolate(tensor, size=size, mode="bilinear", align_corners=False)[0].numpy()


def enlarge_scores(scores: NDArray[np.float32], size: tuple[int, int], logarithmic: bool) -> NDArray[np.float32]:
    """``(K, h, w)`` scores ≥ 0 as ``(K, *size)``, bilinear.

    Args:
        scores: as a propagation saved them.
        size: rows and columns of the result.
        logarithmic: interpolate their logarithms, with the centres of the corner cells on those of the corner pixels,
            as the public WSGCN code does; a pixel's sum of probabilities is then up to 1.
    """
    if not logarithmic:
        return resize_maps(scores, size)
    logs = torch.from_numpy(scores).clamp(min=torch.finfo(torch.float32).tiny).log()[None]
    return functional.interpolate(logs, size=size, mode="bilinear", align_corners=True)[0].exp().numpy()


def downscale_rgb(rgb_u8: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Smoothed bilinear downscaling of an ``(H, W, 3)`` photograph to ``(*size, 3)`` uint8."""
    if rgb_u8.shape[:2] == size:
        return rgb_u8
    tensor = torch.from_numpy(rgb_u8).permute(2, 0, 1)[None].float()  # (H, W, 3) -> (1, 3, H, W)
    small = functional.interpolate(tensor, size=size, mode="bilinear", align_corners=False, antialias=True)
    return small[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8).numpy()


def upsample_labels(
    class_ids: NDArray[np.int64], scores: NDArray[np.float32], size: tuple[int, int], logarithmic: bool = False
) -> NDArray[np.uint8]:
    """The class of the highest score at each pixel: scores are resized first, so that edges follow them smoothly.

    For a large result this is done in strips, as the scores of all its pixels would fill the memory.

    Args:
        class_ids: ``(K,)`` class of each score map.
        scores: ``(K, h, w)`` float32; of equal scores the first map wins.
        size: rows and columns of the result.
        logarithmic: as :func:`enlarge_scores` has it.

    Returns:
        ``(*size)`` uint8 class ids.
    """
    ids = class_ids.astype(np.uint8)
    if scores.shape[1:] == size or len(scores) * math.prod(size) <= STRIP:
        return np.asarray(ids[enlarge_scores(scores, size, logarithmic).argmax(axis=0)])
    maps = torch.from_numpy(np.ascontiguousarray(scores, dtype=np.float32))[None]
    maps = maps.clamp(min=torch.finfo(torch.float32).tiny).log() if logarithmic else maps
    rows = max(1, STRIP // (len(scores) * size[1]))
    down, right = (_places(length, logarithmic) for length in size)
    labels = np.empty(size, dtype=np.uint8)
    for top in range(0, size[0], rows):
        strip = down[top : top + rows]
        places = torch.stack([right.expand(len(strip), -1), strip[:, None].expand(-1, len(right))], dim=-1)[None]
        enlarged = functional.grid_sample(maps, places, padding_mode="border", align_corners=logarithmic)[0]
        labels[top : top + rows] = ids[enlarged.argmax(dim=0).numpy()]
    return labels


def _places(length: int, corners: bool) -> Tensor:
    """Where the pixels of an enlarged row or column lie, from -1 to 1 as ``grid_sample`` has it."""
    return torch.linspace(-1, 1, length) if corners else (2 * torch.arange(length) + 1) / length - 1


def to_class_ids(positions: NDArray[np.uint8], class_ids: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Positions among an image's K classes, 255 = unlabelled, as the class ids ``(K,)`` at these positions."""
    lookup = np.full(IGNORE + 1, IGNORE, dtype=np.uint8)
    lookup[: len(class_ids)] = class_ids
    return lookup[positions]
