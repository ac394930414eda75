"""DeepLabv2: a dilated backbone, atrous spatial pyramid pooling, multi-scale and flip test-time augmentation.

Source: Chen et al., "DeepLab: Semantic Image Segmentation with Deep Convolutional Nets, Atrous Convolution, and Fully
Connected CRFs" (TPAMI 2018), and the numbers of kazuto1011/deeplab-pytorch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from wsgcn.errors import DataError, UsageError
from wsgcn.nets.base import Backbone, on_device
from wsgcn.nets.build import build_backbone
from wsgcn.store.checkpoints import load_checkpoint, read_settings
from wsgcn.store.files import BROKEN

if TYPE_CHECKING:
    from wsgcn.sections import SegMerge

NETWORK = "segtrain"
"""What its checkpoints say they hold."""


class Aspp(nn.Module):
    """Atrous spatial pyramid pooling: the sum of parallel 3×3 convolutions that differ in dilation only.

    Args:
        channels: features of a cell.
        classes: number of classes C, background included.
        dilations: of the convolutions, in cells.
    """

    def __init__(self, channels: int, classes: int, dilations: Sequence[int]):
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Conv2d(channels, classes, 3, padding=dilation, dilation=dilation) for dilation in dilations
        )
        for branch in self.branches:
            nn.init.normal_(cast("nn.Conv2d", branch).weight, std=0.01)
            nn.init.zeros_(cast("Tensor", branch.bias))

    def forward(self, features: Tensor) -> Tensor:
        """``(B, channels, h, w)`` features to ``(B, C, h, w)`` logits."""
        # One product for every cell of every kernel: convolutions with few classes leave most of a processor idle.
        cells = [cell for branch in self._convolutions() for cell in branch.weight.flatten(2).unbind(2)]
        products = functional.linear(features.permute(0, 2, 3, 1), torch.cat(cells)).unflatten(-1, (len(cells), -1))
        # Not the sum of a stack: PyTorch would hand all biases one gradient, and then add to it once for each.
        total = sum((cast("Tensor", branch.bias) for branch in self._convolutions()), start=products.new_zeros(()))
        for product, (dy, dx) in zip(products.unbind(-2), self._offsets()):
            if abs(dy) < features.shape[2] and abs(dx) < features.shape[3]:
                total = total + functional.pad(product, (0, 0, -dx, dx, -dy, dy))
        return total.expand(*products.shape[:3], -1).permute(0, 3, 1, 2)

    @torch.no_grad()
    def start_as(self, weights: Tensor) -> None:
        """Add to the logits of every class but the background what a classifier of single cells gives.

        So the network starts with the class activation maps, and learns where they are wrong.

        Args:
            weights: of the classifier, ``(C-1, channels, 1, 1)``.
        """
        for branch in self._convolutions():
            branch.weight[1:, :, 1, 1] += weights[:, :, 0, 0] / len(self.branches)

    def _convolutions(self) -> list[nn.Conv2d]:
        return [cast("nn.Conv2d", branch) for branch in self.branches]

    def _offsets(self) -> list[tuple[int, int]]:
        """Rows and columns from a cell to the one that each kernel's cell looks at, in the order of the weights."""
        steps = [branch.dilation[0] for branch in self._convolutions()]
        return [(dy * step, dx * step) for step in steps for dy in (-1, 0, 1) for dx in (-1, 0, 1)]


class DeepLabV2(nn.Module):
    """A backbone with ASPP on its last map.

    Args:
        backbone: gives the features, in the last of its five maps.
        classes: number of classes C, background included.
        dilations: of the ASPP, in cells.
    """

    def __init__(self, backbone: Backbone, classes: int, dilations: Sequence[int]):
        super().__init__()
        self.backbone, self.classes = backbone, classes
        self.aspp = Aspp(backbone.channels[-1], classes, dilations)

    def forward(self, photos: Tensor) -> Tensor:
        """``(B, 3, H, W)`` normalised photographs to ``(B, C, h, w)`` logits at the backbone's output stride."""
        return cast("Tensor", self.aspp(self.backbone.last_map(photos)))


def multi_scale_logits(network: nn.Module, photos: Tensor, scales: Sequence[float]) -> list[Tensor]:
    """The logits that the training loss compares with the labels.

    Args:
        network: a :class:`DeepLabV2`.
        photos: ``(B, 3, H, W)`` normalised photographs.
        scales: factors of their size.

    Returns:
        The logits at each scale, at that scale's own resolution, and behind them the element-wise maximum over the
        scales, at the first one's. With one scale the maximum would be the same again and is left out.

    Source: section 4.1 of the paper; kazuto1011/deeplab-pytorch sums a loss over exactly these, and tests with the
    last.
    """
    logits = [network(_rescale_plain(photos, scale)) for scale in scales]
    if len(logits) == 1:
        return logits
    alike = [logits[0], *(_to_size(one, logits[0].shape[-2:]) for one in logits[1:])]
    return [*logits, torch.stack(alike).amax(0)]


@torch.no_grad()
def predict_probs(
    network: DeepLabV2, rgb_u8: NDArray[np.uint8], scales: Sequence[float], flip: bool, merge: SegMerge
) -> NDArray[np.float32]:
    """Class probabilities of a photograph with multi-scale and flip test-time augmentation.

    Args:
        network: it is set to evaluation.
        rgb_u8: ``(H, W, 3)`` uint8 photograph.
        scales: factors of its size.
        flip: average over the photograph and its horizontally flipped copy.
        merge: of the scales. ``mean`` of the probabilities: every scale then has the same weight, where one with large
            logits would outvote the others. ``max`` of the logits, as :func:`multi_scale_logits` gives it: so the
            networks of kazuto1011/deeplab-pytorch are tested.

    Returns:
        ``(C, H, W)`` float32, summing to 1 over C.
    """
    network.eval()
    photo = network.backbone.to_input(rgb_u8)[None].to(next(network.parameters()).device)
    probs = _merged_probs(network, photo, scales, merge)
    if flip:
        probs = (probs + _merged_probs(network, photo.flip(-1), scales, merge).flip(-1)) / 2
    return cast("NDArray[np.float32]", probs[0].cpu().numpy())


def _merged_probs(network: DeepLabV2, photo: Tensor, scales: Sequence[float], merge: SegMerge) -> Tensor:
    if merge == "max":
        return _to_size(multi_scale_logits(network, photo, scales)[-1], photo.shape[-2:]).softmax(1)
    total = torch.zeros((), device=photo.device)  # one map at a time: those of a large photograph fill the memory
    for scale in scales:
        total = total + _to_size(network(_rescale(photo, scale)), photo.shape[-2:]).softmax(1)
    return total / len(scales)


def _rescale(photos: Tensor, scale: float) -> Tensor:
    """Bilinear resizing by a factor; smoothed where it shrinks, as the training crops are."""
    if scale == 1:
        return photos
    size = [max(1, round(side * scale)) for side in photos.shape[-2:]]
    return functional.interpolate(photos, size=size, mode="bilinear", align_corners=False, antialias=scale < 1)


def _rescale_plain(photos: Tensor, scale: float) -> Tensor:
    """Bilinear resizing by a factor without smoothing, sides rounded down, as deeplab-pytorch has it."""
    if scale == 1:
        return photos
    factor = max(scale, 1 / min(photos.shape[-2:]))  # a pixel is left of the smallest
    return functional.interpolate(photos, scale_factor=factor, mode="bilinear", align_corners=False)


def _to_size(logits: Tensor, size: Sequence[int]) -> Tensor:
    return functional.interpolate(logits, size=list(size), mode="bilinear", align_corners=False)


def build_deeplab(settings: Mapping[str, Any], weights: str | None) -> DeepLabV2:
    """The network that a checkpoint's settings describe.

    Args:
        settings: ``backbone`` (name), ``output_stride``, ``classes`` (number) and ``dilations``.
        weights: file of published weights for the backbone, None = freshly initialised.

    Raises:
        DataError: the weight file is missing, or belongs to another network.
        UsageError: the backbone does not come with this output stride.
        ValueError: there is no such backbone.
    """
    backbone = build_backbone(settings["backbone"], settings["output_stride"], weights)
    return DeepLabV2(backbone, settings["classes"], settings["dilations"])


def load_deeplab(checkpoint: Path, device: torch.device, holds: str = NETWORK) -> DeepLabV2:
    """The trained network, set to evaluation, built as the checkpoint says.

    Args:
        checkpoint: the file.
        device: where to compute.
        holds: what the checkpoint says it holds.

    Raises:
        DataError: the file is missing or broken, or holds another network.
    """
    settings = read_settings(checkpoint, holds)
    try:
        network = build_deeplab(settings, None)
    except (UsageError, *BROKEN) as error:
        raise DataError(f"{checkpoint} was made by another version ({error!r}): train it again") from error
    load_checkpoint(checkpoint, holds, settings, network)
    return on_device(network, device)
