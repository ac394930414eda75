"""A trained segmentation network as one ONNX file: a photograph in, class probabilities at its own size out."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from wsgcn.errors import UsageError

# Not renamed for its use here: every trained network would be one of other code, and be trained again.
from wsgcn.nets.deeplab import Aspp, DeepLabV2, _merged_probs, load_deeplab
from wsgcn.predict import require_names
from wsgcn.store.files import write_atomic

if TYPE_CHECKING:
    from wsgcn.predict import Model

INPUT, OUTPUT = "rgb", "probs"
"""Names of what goes in and what comes out."""
SMALLEST = 16
"""Pixels that each side of a photograph has at least; in smaller ones a scale may leave nothing."""
OPSET = 18
"""Of ONNX: the first whose resizing smooths where it shrinks, as PyTorch's does."""
_INT64 = 7
"""Type of whole numbers, as ONNX counts types."""
NOTE = (
    "Labels are the likeliest class of each pixel. Normalisation, scales, flip and merge of the test-time augmentation "
    "are in this network; the dense CRF is not."
)


def export_onnx(model: Model, file: Path) -> None:
    """Write a network with its test-time augmentation, all but the CRF, as ONNX.

    Its input ``rgb`` is a photograph, ``(1, H, W, 3)`` uint8 with sides of at least :data:`SMALLEST` pixels, its output
    ``probs`` is ``(1, C, H, W)`` float32 that sum to 1 over C. Metadata are ``class_names``, ``scales``, ``flip`` and
    ``merge`` in JSON, and a ``note`` on what is in the network.

    ONNX scales the sides of a photograph in single precision: with a scale that this does not hold exactly, such as
    0.7, a side where the product ends in ½ may come out a pixel longer or shorter than in PyTorch.

    Args:
        model: network and settings; its CRF is left out.
        file: is written, or written anew.

    Raises:
        UsageError: the packages of ``wsgcn[onnx]`` are not installed.
        DataError: the network is missing or broken, or has other classes.
    """
    translations = _translations()
    network = load_deeplab(model.checkpoint, torch.device("cpu"))
    require_names(network, model)
    sides = {1: torch.export.Dim("height", min=SMALLEST), 2: torch.export.Dim("width", min=SMALLEST)}
    with torch.no_grad(), _quiet():
        program = torch.onnx.export(
            _Exported(network, model).eval(),
            (torch.zeros(1, 97, 131, 3, dtype=torch.uint8),),  # no sides that could be taken for the same
            input_names=[INPUT],
            output_names=[OUTPUT],
            opset_version=OPSET,
            dynamic_shapes=(sides,),
            custom_translation_table=translations,
            verbose=False,
        )
    content: Any = program
    settings = {"class_names": model.class_names, "scales": model.scales, "flip": model.flip, "merge": model.merge}
    content.model.metadata_props.update({name: json.dumps(value) for name, value in settings.items()}, note=NOTE)
    write_atomic(file, lambda written: written.write(content.model_proto.SerializeToString()))


class _Exported(nn.Module):
    """What :func:`wsgcn.nets.deeplab.predict_probs` does, from tensor to tensor.

    Args:
        network: its ASPP is replaced.
        model: the settings.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: DeepLabV2, model: Model):
        super().__init__()
        network.aspp = cast("Aspp", _PlainAspp(network.aspp))
        self.network, self.model = network, model
        for name in ("mean", "std"):
            self.register_buffer(name, torch.tensor(getattr(network.backbone, name)).reshape(3, 1, 1))

    def forward(self, rgb_u8: Tensor) -> Tensor:
        """A ``(1, H, W, 3)`` uint8 photograph to ``(1, C, H, W)`` probabilities."""
        photo = (rgb_u8.permute(0, 3, 1, 2).float() / 255 - self.mean) / self.std
        probs = self._merged(photo)
        return (probs + self._merged(photo.flip(-1)).flip(-1)) / 2 if self.model.flip else probs

    def _merged(self, photo: Tensor) -> Tensor:
        return _merged_probs(self.network, photo, self.model.scales, self.model.merge)


class _PlainAspp(nn.Module):
    """ASPP as it is defined, by convolutions: the faster form looks at the photograph's size, which is open here."""

    def __init__(self, aspp: Aspp):
        super().__init__()
        self.branches = aspp.branches

    def forward(self, features: Tensor) -> Tensor:
        """``(B, channels, h, w)`` features to ``(B, C, h, w)`` logits."""
        return torch.stack([branch(features) for branch in self.branches]).sum(0)


def _translations() -> dict[Any, Any]:
    """What PyTorch does not translate by itself: Python's rounding of a scaled side, half to even as ONNX has it.

    Raises:
        UsageError: the packages of ``wsgcn[onnx]`` are not installed.
    """
    try:
        from onnxscript import opset18 as onnx
    except ImportError:
        raise UsageError("ONNX files need more packages: pip install 'wsgcn[onnx]'") from None

    def rounded(side: Any, digits: None = None) -> Any:
        return onnx.Cast(onnx.Round(side), to=_INT64)

    return {round: rounded}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without PyTorch's remarks on itself."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        log.setLevel(level)
