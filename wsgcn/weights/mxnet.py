"""Reading MXNet's ``.params`` files, in which ResNet-38's ImageNet weights are published, without MXNet."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wsgcn.store.files import reading

_LIST = 0x112
_V1, _V2, _V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_TYPES = (np.float32, np.float64, np.float16, np.uint8, np.int32)
_DENSE = 0


def read_params(path: Path) -> dict[str, Tensor]:
    """Every array of the file by its name (such as ``arg:conv1a_weight``), as float32.

    Raises:
        DataError: the file is missing, cut off, or no list of dense arrays with names.

    Source: the layout that MXNet's ``NDArray::Save`` writes, in its first form and its versions 1 to 3; little-endian.
    """
    with reading(path, "is no whole MXNet file of parameters", "fetch it again", "mend the path"):
        return _Reader(path.read_bytes()).named_arrays()


class _Reader:
    """Takes numbers from the front of a file."""

    def __init__(self, content: bytes):
        self.content = content
        self.at = 0

    def take(self, form: str) -> tuple[int, ...]:
        values = struct.unpack_from(f"<{form}", self.content, self.at)
        self.at += struct.calcsize(f"<{form}")
        return values

    def named_arrays(self) -> dict[str, Tensor]:
        magic, _, count = self.take("QQQ")
        if magic != _LIST:
            raise ValueError("it begins otherwise")
        arrays = [self.array() for _ in range(count)]
        (names,) = self.take("Q")
        if names != count:
            raise ValueError(f"{names} names for {count} arrays")
        return dict(zip([self.name() for _ in range(names)], arrays))

    def name(self) -> str:
        (length,) = self.take("Q")
        (text,) = struct.unpack_from(f"<{length}s", self.content, self.at)
        self.at += length
        return str(text, "utf-8")

    def array(self) -> Tensor:
        (first,) = self.take("I")
        if first in (_V2, _V3) and self.take("i") != (_DENSE,):
            raise ValueError("a sparse array")
        if first in (_V1, _V2, _V3):
            (dimensions,) = self.take("I")
            shape = self.take(f"{dimensions}q")
        else:  # the first form has neither version nor long sizes
            shape = self.take(f"{first}I")
        self.take("ii")  # the device that it was on
        dtype = _TYPES[self.take("i")[0]]
        values = np.frombuffer(self.content, dtype, math.prod(shape), self.at).reshape(shape)
        self.at += values.nbytes
        return torch.from_numpy(values.astype(np.float32))
