"""Archives of arrays: nothing is unpickled, and no size is believed before it is compared."""

import io
import tracemalloc
import zipfile

import numpy as np
import pytest

from wsgcn.store.npz import LARGEST, read_npz


def archive(**arrays) -> io.BytesIO:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file


def of_members(compression=zipfile.ZIP_STORED, **members) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as packed:
        for name, content in members.items():
            packed.writestr(f"{name}.npy", content)
    return file


def npy(shape, content=b"", descr="<f4") -> bytes:
    """A file of an array whose header says what it likes."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue() + content


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_are_those_that_numpy_wrote(save):
    random = np.random.default_rng(0)
    given = {
        "a": random.random((3, 4), np.float32),
        "b": np.asfortranarray(random.random((2, 3))),
        "c": np.array("text"),
        "d": np.empty((0, 3), np.int64),
    }
    file = io.BytesIO()
    save(file, **given)
    found = read_npz(file)
    assert list(found) == list(given)
    for name, one in given.items():
        np.testing.assert_array_equal(found[name], one)
        assert found[name].dtype == one.dtype
    assert list(read_npz(file, ["c", "gone"])) == ["c"]
    found["a"][0] = 1  # an array of its own, which may be written to


@pytest.mark.parametrize("shape", [(10**12,), (10**6, 10**6), (-1,), (3, -4), (2**62, 4), (5,)])
def test_a_header_that_lies_about_its_shape_is_refused_before_there_is_room(shape):
    file = of_members(a=npy(shape, bytes(16)))
    tracemalloc.start()
    with pytest.raises(ValueError, match="says that it is"):
        read_npz(file)
    assert tracemalloc.get_traced_memory()[1] < 10**7
    tracemalloc.stop()


def test_an_archive_that_unpacks_to_too_much_is_refused_before_there_is_room(monkeypatch):
    monkeypatch.setattr("wsgcn.store.npz.LARGEST", 10**6)
    bomb = of_members(zipfile.ZIP_DEFLATED, a=npy((10**7,), bytes(4 * 10**7)))
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"unpacked it has 400\d+ bytes, the file 39\d+"):
        read_npz(bomb)
    assert tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()
    large = np.ones(10**6, np.float32)  # larger than the limit, and no larger than its file
    np.testing.assert_array_equal(read_npz(archive(a=large))["a"], large)


def test_the_size_of_a_member_may_be_any_that_fits_in_the_file():
    assert LARGEST == 2**30
    assert read_npz(archive(a=np.zeros(4)))["a"].shape == (4,)


@pytest.mark.parametrize("content", [b"", b"text", b"\x93NUMPY\x03\x00" + bytes(20), npy((1,), bytes(8), "|O")])
def test_a_member_that_is_no_plain_array_is_refused(content):
    with pytest.raises(ValueError, match=r"\w"):
        read_npz(of_members(a=content))
