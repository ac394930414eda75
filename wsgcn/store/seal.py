"""The digest that each file of ours carries of its own content, so that damaged numbers are no results.

A disk, a copy or a program that flips a weight leaves a file that can be read. The digest is at the end, where both
formats have room for it: a zip archive (``.npz``, checkpoints) in its comment, a PNG in a text before its last chunk.
Other programs read the file as ever.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

from wsgcn.store.files import write_atomic

KEY = "digest"
"""Of the text in a PNG."""

_BLOCK = 2**20  # bytes that are read at a time
_DIGITS = 64  # of SHA-256, hexadecimal
_DIGEST = re.compile(rb"[0-9a-f]{%d}" % _DIGITS)


def _chunk(word: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + word + content + struct.pack(">I", zlib.crc32(word + content))


class _Form(NamedTuple):
    """How a format ends.

    Attributes:
        begins: its first bytes.
        bare: the last bytes of a file without a digest.
        before: what is there instead in a file with one, and counts for it.
        tail: what follows then, by the digest.
    """

    begins: bytes
    bare: bytes
    before: bytes
    tail: Callable[[str], bytes]


_FORMS = (
    _Form(b"PK", b"\0\0", _DIGITS.to_bytes(2, "little"), str.encode),  # the length of the comment, then the comment
    _Form(
        b"\x89PNG",
        _chunk(b"IEND", b""),
        b"",
        lambda digest: _chunk(b"tEXt", f"{KEY}\0{digest}".encode()) + _chunk(b"IEND", b""),
    ),
)


def write_sealed(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file atomically, with the digest of its content.

    Args:
        path: of the file.
        write: writes a zip archive without a comment, or a PNG.
    """

    def sealed(file: BinaryIO) -> None:
        write(file)
        form = _form(file)
        file.seek(-len(form.bare), os.SEEK_END)
        if file.read() != form.bare:
            raise ValueError("it ends otherwise than a zip archive without comment or a PNG")
        file.seek(-len(form.bare), os.SEEK_END)
        file.truncate()
        file.write(form.before)
        file.write(form.tail(_digest(file, file.tell())))

    write_atomic(path, sealed)


def check_seal(file: BinaryIO) -> None:
    """Compare an open file with the digest that it carries, and go back to its beginning.

    Raises:
        ValueError: it carries none, or its content is no longer what was written.
    """
    form = _form(file)
    length = file.seek(0, os.SEEK_END) - len(form.tail("0" * _DIGITS))
    expected = form.tail(_digest(file, length))
    found = file.read()
    if not _DIGEST.search(found):
        raise ValueError("it lacks the digest that every whole file of this version has")
    if found != expected:
        raise ValueError("its content does not have the digest that it was written with")
    file.seek(0)


def _form(file: BinaryIO) -> _Form:
    file.seek(0)
    begins = file.read(4)
    found = [form for form in _FORMS if begins.startswith(form.begins)]
    if not found:
        raise ValueError("it is neither a zip archive nor a PNG")
    return found[0]


def _digest(file: BinaryIO, length: int) -> str:
    """Of the first bytes of a file, behind which it is left."""
    digest = hashlib.sha256()
    file.seek(0)
    while length > 0 and (block := file.read(min(_BLOCK, length))):
        digest.update(block)
        length -= len(block)
    return digest.hexdigest()
