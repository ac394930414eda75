"""Class activation maps as other projects save them, one file a photograph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsgcn.errors import DataError
from wsgcn.store.files import reading
from wsgcn.store.npz import read_npz as read_archive
from wsgcn.store.pickled import read_arrays

_FINEST = ("high_res", "attn_highres")
"""What IRNet and CLIP-ES call the maps of every pixel."""


@dataclass(frozen=True)
class ForeignMaps:
    """The maps of one photograph as its file has them, of any range.

    Attributes:
        names: of the classes, in the file's order.
        cams: ``(K-1, h, w)`` float32.
        high_res: ``(K-1, H, W)`` float32, finer ones; None where there are none.
    """

    names: tuple[str, ...]
    cams: NDArray[np.float32]
    high_res: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Layout:
    """How a project saves maps.

    Attributes:
        suffix: of a file, whose name before it is the photograph's id.
        read: the maps of a file, given the names of all classes of the dataset by class id, background first.
    """

    suffix: str
    read: Callable[[Path, Sequence[str]], ForeignMaps]


def read_irnet(path: Path, class_names: Sequence[str]) -> ForeignMaps:
    """A dictionary of ``keys`` ``(K-1,)``, ``cam`` ``(K-1, h, w)`` and ``high_res`` ``(K-1, H, W)``.

    Either of the two will do.

    Raises:
        DataError: the file is missing, broken or of another layout.

    Source: IRNet's ``make_cam.py`` (Ahn et al., CVPR 2019), and the projects that begin with its code.
    """
    arrays = read_arrays(path)
    keys = arrays.get("keys")
    maps = {name: _numbers(path, arrays[name], name) for name in ("cam", *_FINEST) if name in arrays}
    if keys is None or keys.ndim != 1 or keys.dtype.kind not in "iu" or not maps:
        raise DataError(f"{path} is not IRNet's (keys, and cam or high_res): it has {_listed(arrays)}")
    for name, one in maps.items():
        if one.ndim != 3 or len(one) != len(keys):
            raise DataError(f"{path}: {name} of shape {one.shape} is not ({len(keys)} classes, rows, columns)")
    names = tuple(_class_name(path, int(key), class_names) for key in keys)
    finest = next((maps[name] for name in _FINEST if name in maps), None)
    return ForeignMaps(names, maps["cam"], finest) if "cam" in maps else ForeignMaps(names, next(iter(maps.values())))


def read_psa(path: Path, class_names: Sequence[str]) -> ForeignMaps:
    """A dictionary from a foreground class, numbered from 0 on, to its map ``(H, W)``.

    Raises:
        DataError: the file is missing, broken or of another layout.

    Source: PSA's ``infer_cls.py`` (Ahn and Kwak, CVPR 2018), and the projects that begin with its code, such as SEAM.
    """
    arrays = read_arrays(path)
    numbers = [key for key in arrays if isinstance(key, int)]
    if len(numbers) < max(1, len(arrays)):
        raise DataError(f"{path} is not PSA's (a map by number of class): it has {_listed(arrays)}")
    names = tuple(_class_name(path, key, class_names) for key in numbers)
    return ForeignMaps(names, _stacked(path, {name: arrays[key] for name, key in zip(names, numbers, strict=True)}))


def read_npz(path: Path, class_names: Sequence[str]) -> ForeignMaps:
    """Arrays ``(h, w)`` by name of class, as ``numpy.savez`` and ``savez_compressed`` write them.

    Raises:
        DataError: the file is missing, broken or too large.
    """
    with reading(path, "cannot be read", "write it with numpy.savez"), path.open("rb") as file:
        arrays = read_archive(file)
    if not arrays:
        raise DataError(f"{path} has no array")
    return ForeignMaps(tuple(arrays), _stacked(path, arrays))


LAYOUTS = {"irnet": Layout(".npy", read_irnet), "psa": Layout(".npy", read_psa), "npz": Layout(".npz", read_npz)}
"""Every layout by the word of ``--format``."""


def _class_name(path: Path, number: int, class_names: Sequence[str]) -> str:
    """Name of a foreground class that other projects number from 0 on."""
    if not 0 <= number < len(class_names) - 1:
        raise DataError(f"{path} has a map of class {number}: the dataset's are numbered 0 to {len(class_names) - 2}")
    return class_names[number + 1]


def _stacked(path: Path, arrays: dict[str, NDArray[np.generic]]) -> NDArray[np.float32]:
    maps = {name: _numbers(path, one, name) for name, one in arrays.items()}
    wrong = [f"{name} {one.shape}" for name, one in maps.items() if one.ndim != 2]
    if wrong:
        raise DataError(f"{path} has what is no map of rows and columns: {', '.join(wrong)}")
    if len({one.shape for one in maps.values()}) > 1:
        sizes = ", ".join(f"{name} {one.shape}" for name, one in maps.items())
        raise DataError(f"{path} has maps of several sizes: {sizes}")
    return np.stack([*maps.values()])


def _numbers(path: Path, array: NDArray[np.generic], name: object) -> NDArray[np.float32]:
    if array.dtype.kind not in "iuf":
        raise DataError(f"{path}: {name} is of {array.dtype}, not of numbers")
    with np.errstate(over="ignore"):  # what becomes infinite is refused as such
        return np.asarray(array, dtype=np.float32)


def _listed(keys: Iterable[object]) -> str:
    return ", ".join(map(str, keys)) or "no array"
