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
    if norm.training:
        out: Tensor = norm(convolution(x))
        return out
    factor, shift = _factor_and_shift(norm)
    return convolution._conv_forward(x, convolution.weight * factor[:, None, None, None], shift)


def _factor_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """What a norm in evaluation multiplies each channel by, and adds to it."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    factor = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return factor, norm.bias - norm.running_mean * factor


def norm_relu(norm: nn.BatchNorm2d, x: Tensor, *, keep: bool) -> Tensor:
    """``relu(norm(x))``, written into ``x`` where that does not change what is learned.

    Args:
        norm: batch norm of the channels of ``x``.
        x: ``(B, channels, h, w)``.
        keep: it is needed afterwards.
    """
    if keep or torch.is_grad_enabled() or norm.training:
        return torch.relu_(norm(x))
    factor, shift = _factor_and_shift(norm)
    torch.addcmul(shift[:, None, None], x, factor[:, None, None], out=x)
    return torch.relu_(x)


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
