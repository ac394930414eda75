"""Section ``segtrain`` of ``params.yaml``: DeepLabv2."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from wsgcn.sections import BelowOne, FreezeNorm, NetworkTraining, Positive, Range, Size


class Segtrain(NetworkTraining):
    """What decides the segmentation network."""

    aspp_dilations: Annotated[tuple[Positive, ...], Field(min_length=1)]
    accumulate: Positive
    scale: Range
    input_scales: Annotated[tuple[Size, ...], Field(min_length=1)]
    head_lr_factor: Size
    head_bias_lr_factor: Size
    freeze_norm: FreezeNorm
    min_confidence: BelowOne
