"""A convolution and the batch norm behind it, as one convolution where the norm no longer changes."""

from __future__ import annotations

from itertools import zip_longest

import torch
from torch import Tensor, nn


def conv_norm(convolution: nn.Conv2d, norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """``norm(convolution(x))``, with gradients for the same parameters.

    A norm in evaluation multiplies each channel by a number and adds another. The weights take the factor before they
    are used, so that the map, which is many times as large as they are, is written once instead of twice.

    Args:
        convolution: without a bias.
        norm: of its channels.
        x: ``(B, channels_in, h, w)``.
    """
    if norm.training or norm.running_mean is None or norm.running_var is None:
        out: Tensor = norm(convolution(x))
        return out
    factor = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    shift = norm.bias - norm.running_mean * factor
    return convolution._conv_forward(x, convolution.weight * factor[:, None, None, None], shift)


class ConvNorms(nn.Sequential):
    """Layers one after another; each batch norm follows a convolution and goes with it through :func:`conv_norm`."""

    def forward(self, x: Tensor) -> Tensor:
        """What the last layer makes of ``x``."""
        layers = list(self)
        for layer, following in zip_longest(layers, layers[1:]):
            if isinstance(layer, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
                x = conv_norm(layer, following, x)
            elif not isinstance(layer, nn.BatchNorm2d):
                x = layer(x)
        return x
