"""Choosing a backbone by name, loading published weights into it, feeding it photographs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wsgcn.errors import UsageError
from wsgcn.nets.drn import DrnD105
from wsgcn.nets.mobilenet import MobileNetV2
from wsgcn.nets.resnet import BasicBlock, Bottleneck, CaffeBottleneck, ResNet
from wsgcn.nets.resnet38 import ResNet38
from wsgcn.store.checkpoints import fill, read_state

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Of red, green and blue in [0, 1], as torchvision's networks are trained."""


class Backbone(Protocol):
    """A network that turns photographs into five maps of ``channels`` features, from fine to coarse."""

    channels: list[int]

    def __call__(self, x: Tensor) -> list[Tensor]:
        """``(B, 3, H, W)`` to five maps."""

    def stages(self) -> list[list[nn.Module]]:
        """What lies between two maps, in five lists."""


_BY_STRIDE: dict[str, Callable[[int], nn.Module]] = {
    "resnet-small": lambda stride: ResNet(BasicBlock, (1, 1, 1, 1), 24, stride),
    "mobilenet-v2": MobileNetV2,
    "resnet-50": lambda stride: ResNet(Bottleneck, (3, 4, 6, 3), 64, stride),
    "resnet-50-irnet": lambda stride: ResNet(Bottleneck, (3, 4, 6, 3), 64, stride, dilate=False),
    "resnet-101": lambda stride: ResNet(Bottleneck, (3, 4, 23, 3), 64, stride),
    "resnet-101-caffe": lambda stride: ResNet(CaffeBottleneck, (3, 4, 23, 3), 64, stride),
}
"""Backbones of any output stride."""

_FIXED: dict[str, Callable[[], nn.Module]] = {"resnet-38": ResNet38, "drn-d-105": DrnD105}
"""Backbones of output stride 8."""


def build_backbone(name: str, output_stride: int, weights: str | None) -> nn.Module:
    """A :class:`Backbone` with published ImageNet weights, or freshly initialised where ``weights`` is None.

    Raises:
        DataError: the weight file is missing, or belongs to another network.
        UsageError: the network does not come with this output stride.
    """
    net = _build(name, output_stride)
    if weights is not None:
        path = Path(weights)
        published = read_state(path).items()
        state = {key: value for key, value in published if not key.startswith(("fc.", "classifier."))}
        fill(net, state, f"{path} does not hold weights of {name}")
    return net


def _build(name: str, output_stride: int) -> nn.Module:
    if name in _BY_STRIDE:
        return _BY_STRIDE[name](output_stride)
    if name not in _FIXED:
        raise ValueError(f"no backbone is called {name!r}")
    if output_stride != 8:
        raise UsageError(f"{name} has output stride 8, not {output_stride}: set output_stride: 8")
    return _FIXED[name]()


def features_of(net: nn.Module, x: Tensor) -> list[Tensor]:
    """The five maps of a backbone for ``(B, 3, H, W)`` normalised photographs."""
    return cast("list[Tensor]", net(x))


def freeze_norms(net: nn.Module) -> None:
    """Keep every batch norm's statistics, scale and shift as loaded; call it after ``net.train()``.

    Source: IRNet and PSA train with fixed batch norms, since their batches are small.
    """
    for module in norms(net):
        module.eval()
        for parameter in module.parameters():
            parameter.requires_grad_(False)


def freeze_stages(net: nn.Module, count: int) -> None:
    """Keep the first ``count`` of a backbone's five stages as loaded, and spare their backward pass.

    Source: IRNet's classifier learns nothing before its third residual stage, PSA's nothing in its first.
    """
    for stage in cast("Backbone", net).stages()[:count]:
        for module in stage:
            module.requires_grad_(False)


def norms(net: nn.Module) -> Iterable[nn.BatchNorm2d]:
    """Every batch norm of a network."""
    return (module for module in net.modules() if isinstance(module, nn.BatchNorm2d))


def to_input(rgb_u8: NDArray[np.uint8]) -> Tensor:
    """An ``(H, W, 3)`` uint8 photograph as a ``(3, H, W)`` float32 tensor, normalised with ImageNet's mean and std."""
    mean, std = (np.array(one, dtype=np.float32) for one in (IMAGENET_MEAN, IMAGENET_STD))
    unit = (rgb_u8.astype(np.float32) / 255 - mean) / std
    return torch.from_numpy(np.ascontiguousarray(unit.transpose(2, 0, 1)))  # (H, W, 3) -> (3, H, W)
