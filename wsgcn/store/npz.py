"""Archives of arrays, ``.npz``: never unpickled, and no array is made room for before its size is known to be true."""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Collection
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

LARGEST = 2**30
"""Bytes of arrays that are larger than their file, at most: 500 times the maps of one class of a photograph of VOC."""

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_npz(file: BinaryIO, names: Collection[str] | None = None) -> dict[str, NDArray[np.generic]]:
    """Arrays of an open file by name.

    Args:
        file: as ``numpy.savez`` or ``savez_compressed`` writes it.
        names: of the arrays that are wanted, those that are there; None = all.

    Raises:
        Exception: one of :data:`~wsgcn.store.files.BROKEN`: it is no archive of arrays, or one of Python's objects,
            or says that it is larger than it is, or unpacked it is larger than :data:`LARGEST` and its file.
    """
    on_disk = file.seek(0, os.SEEK_END)
    with zipfile.ZipFile(file) as packed:
        members = {one.filename.removesuffix(".npy"): one for one in packed.infolist()}
        wanted = {name: one for name, one in members.items() if names is None or name in names}
        unpacked = sum(one.file_size for one in wanted.values())
        if unpacked > max(on_disk, LARGEST):
            raise ValueError(f"unpacked it has {unpacked} bytes, the file {on_disk}")
        return {name: _array(packed, one) for name, one in wanted.items()}


def _array(packed: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[np.generic]:
    with packed.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version not in _HEADERS:
            raise ValueError(f"{member.filename} is of version {version} of .npy")
        shape, _, dtype = _HEADERS[version](file)
        room = member.file_size - file.tell()
        if dtype.hasobject or math.prod(shape) * dtype.itemsize != room:
            raise ValueError(f"{member.filename} says that it is {dtype} of shape {shape} and has {room} bytes")
    with packed.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)
