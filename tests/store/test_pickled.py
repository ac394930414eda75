"""Dictionaries of arrays that other projects pickle: read as they are, and nothing of a file is run."""

from __future__ import annotations

import collections
import copyreg
import io
import os
import pickle
import random
from contextlib import suppress

import numpy as np
import pytest
import torch

from wsgcn.errors import DataError
from wsgcn.store import pickled
from wsgcn.store.pickled import read_arrays

CONTENT = {
    "keys": torch.tensor([3, 7]),
    "cam": torch.rand((2, 4, 5), generator=torch.Generator().manual_seed(0))[:, 1:],
    "high_res": np.asfortranarray(np.random.default_rng(0).random((2, 6, 8))),
    "half": torch.ones(2, 3, dtype=torch.bfloat16),
    "big": np.arange(3, dtype=">f8"),
    "empty": torch.zeros(0, 3),
    "number": torch.tensor(3.0),
    np.int64(14): np.ones((2, 2), dtype=np.float16),
    2: np.ones(2, dtype=bool),
}


def write(path, content, protocol=None):
    """A ``.npy`` file as NumPy writes it, or as one of another time did by another protocol."""
    if protocol is None:
        np.save(path, content, allow_pickle=True)
        return path
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
        pickle.dump(np.array(content, dtype=object), file, protocol)
    return path


def with_pickle(path, content: bytes):
    """A ``.npy`` file with any pickle in it."""
    write(path, {})
    header = path.read_bytes()[:128]
    assert header.endswith(b"\n")
    path.write_bytes(header + content)
    return path


@pytest.fixture
def file(tmp_path):
    return tmp_path / "maps.npy"


@pytest.mark.parametrize("protocol", [None, 2, 3, 4])
def test_arrays_and_tensors_of_every_kind_are_read(file, protocol):
    found = read_arrays(write(file, CONTENT | {"name": "2007_000032", "size": (6, 8)}, protocol))
    assert {*found} == {*CONTENT}
    for key, value in CONTENT.items():
        if isinstance(value, torch.Tensor):
            value = (value.float() if value.is_floating_point() else value).numpy()
        assert found[key].shape == value.shape
        np.testing.assert_array_equal(found[key], value)


def test_older_numpy_had_another_name_for_the_same(file):
    write(file, CONTENT, 2)
    file.write_bytes(file.read_bytes().replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert {*read_arrays(file)} == {*CONTENT}


class Call:
    """Pickled, it is a call."""

    def __init__(self, function, *given):
        self.call = (function, given)

    def __reduce__(self):
        return self.call


class HiddenStorage:
    """Pickled, it is a tensor whose numbers are a pickle of their own that runs something."""

    def __init__(self, inner):
        self.inner = inner

    def __reduce__(self):
        content = io.BytesIO()
        torch.save(self.inner, content, _use_new_zipfile_serialization=False)
        return torch.storage._load_from_bytes, (content.getvalue(),)


def harmful(touch):
    """Objects that make a file when they are unpickled by Python's own reader."""
    command, text = f"touch {touch}", f"open({str(touch)!r}, 'w').close()"
    return {
        "os.system": Call(os.system, command),
        "builtins.eval": Call(eval, text),
        "a storage": HiddenStorage(Call(os.system, command)),
        "getattr": Call(getattr, text, "format"),
        "a registered function": Call(copyreg._reconstructor, collections.Counter, object, None),
        "numpy.load": Call(np.load, str(touch)),
        "torch.load": Call(torch.load, str(touch)),
    }


@pytest.mark.parametrize("name", harmful("x"))
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_harmful_pickle_is_refused_and_nothing_of_it_is_run(file, tmp_path, name, protocol):
    touch = tmp_path / "it was run"
    write(file, {0: np.ones((2, 2)), 1: harmful(touch)[name]}, protocol)
    with pytest.raises(DataError, match="cannot be read as a dictionary of arrays") as caught:
        read_arrays(file)
    assert not touch.exists()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert ("it was not run" if name == "a storage" else "nothing of it was run") in str(caught.value)


def test_the_harmful_pickles_are_harmful(file, tmp_path):
    """Python's own reader runs them, so that the test above tests something."""
    for name in ("os.system", "builtins.eval", "a storage"):
        touch = tmp_path / name.replace(" ", "-")
        np.load(write(file, {0: harmful(touch)[name]}), allow_pickle=True)
        assert touch.exists()


# What a pickle of protocol 0 or 1 can do with what it is given: key 0 of a dictionary is to become …
CRAFTED = {
    "changes what it must not": [
        b"cnumpy\nndarray\nK\x01b",  # a function with another state
        b"cnumpy\nndarray\n(N}U\x07contentK\x01stb",  # or with another attribute
        b"ctorch.storage\n_load_from_bytes\n)b",
    ],
    "not enough values to unpack": [b"cnumpy\nndarray\n)R)b"],
    "unknown order of bytes": [b"cnumpy\ndtype\n(U\x02f4tR(K\x03U\x01?tb"],
    "an array of type": [b"cnumpy\ndtype\n(U\x02V9tR", b"cnumpy\ndtype\n(K\x04tR"],
    "without type or shape": [b"cnumpy\nndarray\n)R(K\x01(J\xff\xff\xff\xfftK\x05NU\x00tb"],
    "bytes in 'rot_13'": [b"c_codecs\nencode\n(U\x01aU\x06rot_13tR"],
    "has no attribute 'content'": [b"ctorch._utils\n_rebuild_tensor_v2\n(K\x00K\x00))tR"],
    "a scalar that is no number": [b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(U\x01OtR(K\x03U\x01|tb]K\x01atR"],
    "persistent": [b"P1\n"],
}


@pytest.mark.parametrize(("said", "made"), [(said, made) for said, several in CRAFTED.items() for made in several])
def test_a_crafted_pickle_is_refused(file, said, made):
    with pytest.raises(DataError, match=said):
        read_arrays(with_pickle(file, b"}K\x00" + made + b"s."))
    assert {*read_arrays(write(file, CONTENT))} == {*CONTENT}, "the reader is as it was"


def test_an_array_of_itself_is_refused(tmp_path):
    around = np.empty((), object)
    around[()] = around
    np.save(tmp_path / "x.npy", around)
    with pytest.raises(DataError, match="an array that holds itself"):
        read_arrays(tmp_path / "x.npy")


def test_a_list_of_itself_is_left_out(file):
    assert read_arrays(with_pickle(file, b"}K\x00]q\x00h\x00as.")) == {}


@pytest.mark.parametrize(
    ("offset", "size", "stride"), [(0, (4, 4), (0, 0)), (7, (2, 3), (3, 1)), (0, (2, 3), (30, 1)), (-1, (2, 3), (3, 1))]
)
def test_a_tensor_beyond_its_numbers_is_refused(file, offset, size, stride):
    storage = Call(torch.storage._load_from_bytes, HiddenStorage(torch.rand(6)._typed_storage()).__reduce__()[1][0])
    call = Call(torch._utils._rebuild_tensor_v2, storage, offset, size, stride, False, collections.OrderedDict())
    with pytest.raises(DataError, match="more numbers than it has"):
        read_arrays(write(file, {0: call}))


def test_what_is_no_dictionary_is_refused(file):
    for content in (np.ones((2, 2)), [np.ones(2)], np.array([{}, {}], dtype=object)):
        with pytest.raises(DataError, match="cannot be read as a dictionary of arrays"):
            read_arrays(write(file, content))
    file.write_bytes(b"no file of NumPy")
    with pytest.raises(DataError, match="cannot be read as a dictionary of arrays"):
        read_arrays(file)
    with pytest.raises(DataError, match="is missing"):
        read_arrays(file.with_name("none.npy"))


def test_a_file_that_is_too_large_is_refused_unread(file, monkeypatch):
    write(file, CONTENT)
    monkeypatch.setattr(pickled, "LARGEST", 100)
    with pytest.raises(DataError, match="more than 100 bytes"):
        read_arrays(file)


def test_damage_anywhere_is_one_error(file):
    write(file, CONTENT)
    whole, draw = file.read_bytes(), random.Random(0)
    for _ in range(1500):
        damaged = bytearray(whole)
        for _ in range(draw.randint(1, 3)):
            damaged[draw.randrange(len(whole))] = draw.randrange(256)
        file.write_bytes(damaged[: draw.choice([None, draw.randrange(len(whole))])])
        with suppress(DataError):
            read_arrays(file)
