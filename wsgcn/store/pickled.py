"""A dictionary of arrays that another project saved by ``numpy.save``, read without running anything of the file.

NumPy pickles a dictionary, and a pickle may name any function of any package to be called. Here it may name the few
that arrays are made with, and gets ours in their place: neither NumPy's nor PyTorch's are called with what a file says.
The one exception are the numbers of a tensor, which go to ``torch.load(weights_only=True)``.
"""

from __future__ import annotations

import io
import math
import pickle
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from wsgcn.store.files import BROKEN, reading
from wsgcn.store.npz import LARGEST

DEEPEST = 4
"""Arrays within each other; none of the layouts has more than one."""
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_TYPES = re.compile(r"b1|[iu][1248]|f[248]|O8?")


def read_arrays(path: Path) -> dict[int | str, NDArray[np.generic]]:
    """The arrays of a dictionary in a ``.npy`` file, tensors of PyTorch among them; its other values are left out.

    Raises:
        DataError: the file is missing, broken, too large or no such dictionary, or its pickle names anything else.

    Source: the layouts of ``numpy.ndarray.__reduce__`` and of ``torch.Tensor.__reduce_ex__``.
    """
    with reading(path, "cannot be read as a dictionary of arrays", "save it again with numpy.save"):
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it has more than {LARGEST} bytes")
        with path.open("rb") as file:
            _skip_header(file)
            content = _ArraysOnly(file).load()
        found = _content(content)
        if not isinstance(found, dict):
            raise ValueError("no dictionary")
        arrays = {key: _content(value) for key, value in found.items() if isinstance(key, int | str)}
    return {key: value for key, value in arrays.items() if isinstance(value, np.ndarray)}


def _skip_header(file: BinaryIO) -> None:
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"version {version} of .npy holds no dictionary")
    shape, _, dtype = _HEADERS[version](file)
    if shape != () or dtype != np.dtype(object):
        raise ValueError(f"it is an array of {dtype} and shape {shape}")


class _Sealed:
    """What a pickle handles instead of arrays and functions: it can neither look into it nor change it.

    Attributes:
        content: an array, a function, or None where it is not there yet.
    """

    __slots__ = ("content",)

    def __init__(self, content: object = None):
        self.content = content

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("it changes what it must not")


class _Maker(_Sealed):
    """A function that a pickle may call."""

    __slots__ = ()

    def __call__(self, *given: Any) -> object:
        make: Callable[..., object] = self.content  # type: ignore[assignment]
        return make(*given)


class _Type(_Sealed):
    """The type of an array: its content is NumPy's word for it, to which a pickle adds the order of bytes."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        if state[1] not in ("<", ">", "|"):
            raise pickle.UnpicklingError("an array with unknown order of bytes")
        self.content = f"{state[1]}{str(self.content).lstrip('<>|')}"


class _Array(_Sealed):
    """An array, whose content a pickle gives after it has begun it."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, by_columns, content = state
        self.content = _array(shape, dtype, by_columns, content)


def _array(shape: Any, dtype: Any, by_columns: Any, content: Any) -> object:
    """An array of numbers, or what one of objects has inside."""
    if not isinstance(dtype, _Type) or any(not isinstance(side, int) or side < 0 for side in shape):
        raise pickle.UnpicklingError("an array without type or shape")
    word = str(dtype.content)
    if "O" in word:
        if shape != () or not isinstance(content, list):
            raise pickle.UnpicklingError("an array of objects")
        (inside,) = content
        return inside
    flat = np.frombuffer(content, dtype=word)
    return flat.reshape(shape, order="F" if by_columns else "C")


def _dtype(word: Any, *flags: Any) -> _Type:
    if not isinstance(word, str) or not _TYPES.fullmatch(word):
        raise pickle.UnpicklingError(f"an array of type {word!r}")
    return _Type(word)


def _scalar(dtype: Any, content: Any) -> object:
    """A number of NumPy's as one of Python's."""
    number = _array((), dtype, False, content)
    if not isinstance(number, np.ndarray):
        raise pickle.UnpicklingError("a scalar that is no number")
    return number.item()


def _bytes(text: Any, encoding: Any) -> bytes:
    """How Python's protocols up to 2 have bytes."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in {encoding!r}")
    return str(text).encode("latin1")


def _storage(content: Any) -> _Sealed:
    """The numbers of a tensor, ``(N,)``, which PyTorch saves in a format of its own."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what it cannot read
            storage = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except BROKEN as error:  # PyTorch's own words advise to trust the file
        raise pickle.UnpicklingError("a tensor has something else in the place of numbers; it was not run") from error
    if not isinstance(storage, torch.storage.TypedStorage):
        raise pickle.UnpicklingError("a tensor without numbers")
    return _Sealed(torch.empty(0, dtype=storage.dtype).set_(storage._untyped_storage))


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> _Sealed:
    """An array of the numbers, each of them used once at most."""
    numbers = storage.content
    last = offset + sum((side - 1) * step for side, step in zip(size, stride, strict=True))
    count = math.prod(size)
    if min([offset, *size, *stride]) < 0 or count > len(numbers) or (count > 0 and last >= len(numbers)):
        raise pickle.UnpicklingError("a tensor of more numbers than it has")
    values = numbers.as_strided(size, stride, offset)
    return _Sealed((values.float() if values.is_floating_point() else values).numpy())


def _content(value: object) -> object:
    """What is sealed: a pickle that is read has no more to do with it."""
    for _ in range(DEEPEST):
        if not isinstance(value, _Array):
            break
        value = value.content
    else:
        raise pickle.UnpicklingError("an array that holds itself")
    return value.content if isinstance(value, _Sealed) else value


_NUMPY: dict[str, Callable[..., object]] = {"_reconstruct": lambda *given: _Array(), "scalar": _scalar}
_KNOWN = {
    **{(f"numpy.{core}.multiarray", name): make for core in ("core", "_core") for name, make in _NUMPY.items()},
    ("numpy", "ndarray"): lambda *given: _Array(),
    ("numpy", "dtype"): _dtype,
    ("_codecs", "encode"): _bytes,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch.storage", "_load_from_bytes"): _storage,
    ("collections", "OrderedDict"): lambda: {},  # the hooks of a tensor, of which it has none
}


class _ArraysOnly(pickle.Unpickler):
    """Knows no function but ours."""

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a function that a pickle names."""
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no array needs: nothing of it was run")
        return _Maker(_KNOWN[module, name])
