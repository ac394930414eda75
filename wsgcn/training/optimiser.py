"""Stochastic gradient descent with a rate for each group of parameters, and its poly schedule."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NotRequired, TypedDict

from torch import Tensor, nn
from torch.optim import SGD
from torch.optim.lr_scheduler import PolynomialLR

from wsgcn.errors import UsageError


class ParameterGroup(TypedDict):
    """Parameters that learn at the same rate.

    Attributes:
        params: the parameters.
        lr: learning rate at the first step.
        weight_decay: only where it differs from the optimiser's.
    """

    params: list[nn.Parameter]
    lr: float
    weight_decay: NotRequired[float]


def sgd(groups: Iterable[ParameterGroup], *, momentum: float, weight_decay: float) -> SGD:
    """Stochastic gradient descent with one learning rate a group.

    Numbers go by keyword only: the public code of IRNet and PSA passes the weight decay in the place of the momentum
    and so trains without any.
    """
    return SGD([dict(group) for group in groups], lr=0.0, momentum=momentum, weight_decay=weight_decay)


def finite(loss: Tensor, section: str, step: int) -> float:
    """The loss of one step as a number.

    Raises:
        UsageError: it is not finite; the message names ``section`` of the parameters.
    """
    value = loss.item()
    if not math.isfinite(value):
        raise UsageError(f"{section}: the loss is {value} at step {step}: choose a smaller {section}.lr")
    return value


def poly_schedule(optimizer: SGD, steps: int, power: float) -> PolynomialLR:
    """Learning rates of every group as lr · (1 - step / steps)^power; call its ``step()`` after the optimiser's.

    Source: DeepLab, section 3 of Chen et al. (TPAMI 2018), and IRNet.
    """
    return PolynomialLR(optimizer, total_iters=steps, power=power)
