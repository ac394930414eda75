"""What every backbone is: a network that turns photographs into five maps of features."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, ClassVar, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wsgcn.errors import UsageError
from wsgcn.nets.published import Converter
from wsgcn.runtime.memory import give_back_freed_memory

if TYPE_CHECKING:
    from wsgcn.sections import FreezeNorm

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Of red, green and blue in [0, 1], as torchvision's networks are trained."""


class Backbone(nn.Module):
    """A network without its classifier, giving five maps of features, from fine to coarse.

    A subclass sets ``name``, ``channels`` and ``strides``, and defines :meth:`maps` and :meth:`stages`; its entry in
    :data:`wsgcn.nets.registry.BACKBONES` lets ``params.yaml`` name it.

    Args:
        output_stride: pixels a cell of the last map.

    Attributes:
        name: as ``params.yaml`` calls it.
        output_strides: the values that ``output_stride`` may have.
        mean: of red, green and blue in [0, 1], taken from the photograph.
        std: of red, green and blue, the photograph less its mean is divided by.
        pixel_bytes: that a forward pass takes at most for each pixel of its input, which tests/nets/test_memory.py
            measures; here a ResNet's.
        importers: for each kind of published file that holds its weights, what gives them our names.
        channels: features of a cell of each of the five maps.
        strides: pixels a cell of each of the five maps.

    Raises:
        UsageError: it does not come with this output stride.
    """

    name: ClassVar[str]
    output_strides: ClassVar[tuple[int, ...]] = (8, 16, 32)
    mean: ClassVar[tuple[float, float, float]] = IMAGENET_MEAN
    std: ClassVar[tuple[float, float, float]] = IMAGENET_STD
    pixel_bytes: ClassVar[int] = 600
    importers: ClassVar[Mapping[str, Converter]] = {}
    channels: list[int]
    strides: list[int]

    def __init__(self, output_stride: int):
        super().__init__()
        if output_stride not in self.output_strides:
            known = _listed(self.output_strides)
            raise UsageError(f"{self.name} has output stride {known}, not {output_stride}: set output_stride: {known}")

    def maps(self, x: Tensor) -> Iterator[Tensor]:
        """``(B, 3, H, W)`` normalised photographs to five maps ``(B, channels[i], H / strides[i], W / strides[i])``.

        One after the other, each as soon as it is made, and without another reference to it than what follows needs.
        """
        raise NotImplementedError

    def forward(self, x: Tensor) -> list[Tensor]:
        """The five :meth:`maps`."""
        return list(self.maps(x))

    def last_map(self, x: Tensor) -> Tensor:
        """The coarsest of the :meth:`maps`; without a gradient none of the others takes memory beside it."""
        return next(islice(self.maps(x), len(self.channels) - 1, None))

    def stages(self) -> list[list[nn.Module]]:
        """What lies between two maps, in five lists; together they hold every parameter once."""
        raise NotImplementedError

    @classmethod
    def to_input(cls, rgb_u8: NDArray[np.uint8]) -> Tensor:
        """An ``(H, W, 3)`` uint8 photograph as the ``(3, H, W)`` float32 tensor that this network takes.

        A class method, so that worker processes need no network.
        """
        return to_input(rgb_u8, cls.mean, cls.std)

    @classmethod
    def to_rgb_u8(cls, x: Tensor) -> Tensor:
        """The ``(B, 3, H, W)`` uint8 photographs of which :meth:`to_input` made ``(B, 3, H, W)`` inputs.

        Of inputs in 16 bits, as mixed precision has them, a colour may be another by 1.
        """
        mean, std = (torch.tensor(numbers, device=x.device)[:, None, None] for numbers in (cls.mean, cls.std))
        return ((x.float() * std + mean) * 255).round().clamp(0, 255).to(torch.uint8)


def to_input(
    rgb_u8: NDArray[np.uint8], mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD
) -> Tensor:
    """An ``(H, W, 3)`` uint8 photograph as a ``(3, H, W)`` float32 tensor: in [0, 1], less the mean, over the std."""
    channels = rgb_u8.transpose(2, 0, 1).astype(np.float32, order="C")  # one after the other, each is fast
    channels /= 255
    for channel, its_mean, its_std in zip(channels, np.asarray(mean, np.float32), np.asarray(std, np.float32)):
        channel -= its_mean
        channel /= its_std
    return torch.from_numpy(channels)


def _listed(numbers: Sequence[int]) -> str:
    *others, last = map(str, numbers)
    return f"{', '.join(others)} or {last}" if others else last


Network = TypeVar("Network", bound=nn.Module)


def on_device(net: Network, device: torch.device | str) -> Network:
    """A network on a device, with a cell's channels side by side: so processors and GPUs convolve faster.

    The copies of its weights from which it was made are given back.
    """
    net = net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    give_back_freed_memory()
    return net


def norms(net: nn.Module) -> Iterable[nn.BatchNorm2d]:
    """Every batch norm of a network."""
    return (module for module in net.modules() if isinstance(module, nn.BatchNorm2d))


def freeze_norms(net: nn.Module, kind: FreezeNorm) -> None:
    """Keep of every batch norm what is to stay as loaded; call it after ``net.train()``.

    Args:
        net: with or without batch norms.
        kind: ``none``; ``statistics``, the mean and variance; ``affine``, scale and shift; ``all``, the four.

    Source: small batches would spoil the statistics. IRNet's classifier learns scale and shift, PSA's networks do not.
    deeplab-imagenet-pytorch hands its optimiser convolutions alone, but lets the statistics follow its batches of 26.
    """
    for module in norms(net):
        if kind in ("statistics", "all"):
            module.eval()
        if kind in ("affine", "all"):
            module.requires_grad_(False)


def freeze_stages(net: Backbone, count: int) -> None:
    """Keep the first ``count`` of a backbone's five stages as loaded, and spare their backward pass.

    Source: IRNet's classifier learns nothing before its third residual stage, PSA's nothing in its first.
    """
    for stage in net.stages()[:count]:
        for module in stage:
            module.requires_grad_(False)
