"""Augmentation: random crops and changes of colour."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from torch import Tensor

from wsgcn.vocabulary import IGNORE

if TYPE_CHECKING:
    from wsgcn.sections import Border, Interpolation, Jitter


Number = TypeVar("Number", bound=np.generic)
ToInput = Callable[[NDArray[np.uint8]], Tensor]
"""``(h, w, 3)`` uint8 to what a backbone takes, ``(3, h, w)``."""


@overload
def random_crop(
    rgb_u8: NDArray[np.uint8],
    labels: None,
    crop: int,
    scale: tuple[float, float],
    generator: torch.Generator,
    to_input: ToInput,
    interpolation: Interpolation = ...,
) -> tuple[Tensor, None]: ...
@overload
def random_crop(
    rgb_u8: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    crop: int,
    scale: tuple[float, float],
    generator: torch.Generator,
    to_input: ToInput,
    interpolation: Interpolation = ...,
) -> tuple[Tensor, Tensor]: ...
def random_crop(
    rgb_u8: NDArray[np.uint8],
    labels: NDArray[np.uint8] | None,
    crop: int,
    scale: tuple[float, float],
    generator: torch.Generator,
    to_input: ToInput,
    interpolation: Interpolation = "bilinear",
) -> tuple[Tensor, Tensor | None]:
    """Scale, mirror and crop a photograph at random, and its labels alike.

    A scaled photograph smaller than the crop lies at a random place of the crop; around it the photograph is 0, the
    mean colour after normalisation, and the labels are unlabelled. Pillow and NumPy do the work, so that crops can be
    made in threads while torch computes.

    Args:
        rgb_u8: ``(H, W, 3)`` uint8 photograph.
        labels: ``(H, W)`` uint8 class ids (255 = unlabelled), or None.
        crop: side in pixels.
        scale: range of the factor, drawn uniformly.
        generator: the only source of randomness; it is used alike with and without labels.
        to_input: of the backbone, normalises the photograph.
        interpolation: how the photograph is resized.

    Returns:
        ``(3, crop, crop)`` float32 photograph for a backbone, and ``(crop, crop)`` uint8 labels or None.

    Raises:
        ValueError: the labels have another size than the photograph.

    Source: IRNet's and PSA's training, which scale, mirror and crop with padding in the same way.
    """
    size = (rgb_u8.shape[0], rgb_u8.shape[1])
    view = random_view(size, crop, scale, generator)
    return view.photo(rgb_u8, to_input, interpolation), None if labels is None else view.labels(labels)


@dataclass(frozen=True)
class View:
    """What a crop shows of a photograph that is scaled and perhaps mirrored.

    Attributes:
        crop: side of the crop.
        whole: rows and columns of the photograph.
        size: those of the scaled photograph.
        rows: those that are seen.
        columns: those that are seen, counted after mirroring.
        top: rows of the crop above them.
        left: columns of the crop before them.
        mirror: whether it is mirrored.
    """

    crop: int
    whole: tuple[int, int]
    size: tuple[int, int]
    rows: range
    columns: range
    top: int
    left: int
    mirror: bool

    def photo(
        self,
        rgb_u8: NDArray[np.uint8],
        to_input: ToInput,
        interpolation: Interpolation,
        border: Border = "mean",
    ) -> Tensor:
        """The crop of an ``(H, W, 3)`` photograph, normalised, ``(3, crop, crop)``; around it mean colour, or black."""
        part = self._seen(rgb_u8, Image.Resampling[interpolation.upper()])
        if border == "black":
            placed = self._placed(part.transpose(2, 0, 1), 0)
            return to_input(np.ascontiguousarray(placed.transpose(1, 2, 0)))
        return torch.from_numpy(self._placed(to_input(part).numpy(), 0))

    def labels(self, labels: NDArray[np.uint8]) -> Tensor:
        """The crop of ``(H, W)`` labels, ``(crop, crop)``, unlabelled around."""
        return torch.from_numpy(self._placed(self._seen(labels, Image.Resampling.NEAREST), IGNORE))

    def maps(self, maps: NDArray[np.floating]) -> NDArray[np.float32]:
        """The crop of ``(K, H, W)`` maps, ``(K, crop, crop)`` float32, 0 around."""
        parts = [self._seen(one.astype(np.float32), Image.Resampling.BILINEAR) for one in maps]
        return self._placed(np.stack(parts), 0)

    def inside(self) -> Tensor:
        """Where the crop shows the photograph, ``(crop, crop)`` bool."""
        there = np.ones((len(self.rows), len(self.columns)), dtype=np.bool_)
        return torch.from_numpy(self._placed(there, fill=0))

    def _seen(self, array: NDArray[Number], method: Image.Resampling) -> NDArray[Number]:
        if array.shape[:2] != self.whole:
            raise ValueError(f"{array.shape} do not fit a photograph of {self.whole}")
        return _scaled_part(array, self.size, self.rows, self.columns, self.mirror, method)

    def _placed(self, array: NDArray[Number], fill: int) -> NDArray[Number]:
        """Put ``(…, h, w)`` into ``(…, crop, crop)``."""
        placed = np.full((*array.shape[:-2], self.crop, self.crop), fill, dtype=array.dtype)
        placed[..., self.top : self.top + array.shape[-2], self.left : self.left + array.shape[-1]] = array
        return placed


def random_view(size: tuple[int, int], crop: int, scale: tuple[float, float], generator: torch.Generator) -> View:
    """Draw what :func:`random_crop` shows of a photograph of so many rows and columns."""
    draw = torch.rand(4, generator=generator, dtype=torch.float64).tolist()
    factor = scale[0] + (scale[1] - scale[0]) * draw[0]
    height, width = (max(1, round(side * factor)) for side in size)
    rows, top = _window(height, crop, draw[2])
    columns, left = _window(width, crop, draw[3])
    return View(crop, size, (height, width), rows, columns, top, left, mirror=draw[1] < 0.5)


def jittered(rgb_u8: NDArray[np.uint8], params: Jitter | None, generator: torch.Generator) -> NDArray[np.uint8]:
    """Change brightness, contrast, saturation and hue at random, in random order.

    Args:
        rgb_u8: ``(H, W, 3)`` uint8 photograph.
        params: how far each may go; None changes and draws nothing.
        generator: the only source of randomness.

    Returns:
        ``(H, W, 3)`` uint8.

    Source: PSA's training, by torchvision's ColorJitter.
    """
    if params is None:
        return rgb_u8
    draw = (2 * torch.rand(4, generator=generator, dtype=torch.float64) - 1).tolist()
    photo = Image.fromarray(rgb_u8)
    changes = (
        lambda one: ImageEnhance.Brightness(one).enhance(1 + params.brightness * draw[0]),
        lambda one: ImageEnhance.Contrast(one).enhance(1 + params.contrast * draw[1]),
        lambda one: ImageEnhance.Color(one).enhance(1 + params.saturation * draw[2]),
        lambda one: _turn_hue(one, params.hue * draw[3]),
    )
    for position in torch.randperm(4, generator=generator).tolist():
        photo = changes[position](photo)
    return np.asarray(photo)


def _turn_hue(photo: Image.Image, share: float) -> Image.Image:
    hue, saturation, value = photo.convert("HSV").split()
    turned = hue.point([(level + round(256 * share)) % 256 for level in range(256)])
    return Image.merge("HSV", (turned, saturation, value)).convert("RGB")


def _window(size: int, crop: int, draw: float) -> tuple[range, int]:
    """Which part of an axis is seen, and how many padded cells precede it, by a draw from [0, 1)."""
    shift = int(draw * (abs(size - crop) + 1))
    return (range(shift, shift + crop), 0) if size >= crop else (range(size), shift)


def _scaled_part(
    array: NDArray[Number],
    size: tuple[int, int],
    rows: range,
    columns: range,
    mirror: bool,
    method: Image.Resampling,
) -> NDArray[Number]:
    """The rows and columns of an array after it was scaled to ``size`` and mirrored; nothing else is scaled."""
    height, width = size
    left = width - columns.stop if mirror else columns.start
    down, across = array.shape[0] / height, array.shape[1] / width
    right, bottom = min((left + len(columns)) * across, array.shape[1]), min(rows.stop * down, array.shape[0])
    # Pillow's filters widen with the factor when they shrink a photograph, so nothing aliases.
    part = Image.fromarray(array).resize(
        (len(columns), len(rows)), method, (left * across, rows.start * down, right, bottom)
    )
    return np.asarray(part)[:, :: -1 if mirror else 1]
