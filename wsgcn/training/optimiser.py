"""What an optimiser is given: groups of parameters with their rates, and a poly schedule."""

from __future__ import annotations

import math
from typing import NotRequired, TypedDict

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

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


def finite(loss: Tensor, section: str, step: int) -> float:
    """The loss of one step as a number.

    Raises:
        UsageError: it is not finite; the message names ``section`` of the parameters.
    """
    value = loss.item()
    if not math.isfinite(value):
        raise UsageError(f"{section}: the loss is {value} at step {step}: choose a smaller {section}.lr")
    return value


def poly_schedule(optimizer: Optimizer, steps: int, power: float, warmup_steps: int) -> LambdaLR:
    """Learning rates of every group as lr · min(1, (step + 1) / warmup_steps) · (1 - step / steps)^power.

    Call its ``step()`` after the optimiser's.

    Source: DeepLab, section 3 of Chen et al. (TPAMI 2018), and IRNet, which do not warm up.
    """

    def factor(step: int) -> float:
        warm = min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
        return warm * float(max(0.0, 1 - step / steps) ** power)

    return LambdaLR(optimizer, factor)
