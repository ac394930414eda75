"""Counts of each photograph: what is written is read, and what is something else is refused."""

import numpy as np
import pytest

from wsgcn.errors import DataError
from wsgcn.store.counts import PhotographCounts, load_counts, save_counts

COUNTS = np.arange(12, dtype=np.int32).reshape(2, 2, 3)


def made(ids=("a", "bär"), classes=("background", "cat"), steps=None):
    return PhotographCounts(ids, classes, {"cam": COUNTS} if steps is None else steps)


@pytest.mark.parametrize("steps", [{"cam": COUNTS, "pseudo_best": COUNTS + 1}, {}])
def test_what_is_written_is_read(tmp_path, steps):
    path = tmp_path / "some" / "photographs.npz"
    save_counts(path, made(steps=steps))
    found = load_counts(path)
    assert (found.ids, found.classes) == (("a", "bär"), ("background", "cat"))
    assert list(found.steps) == list(steps)
    assert all((found.steps[step] == steps[step]).all() and found.steps[step].dtype == np.int32 for step in steps)
    first = path.read_bytes()
    save_counts(path, made(steps=steps))
    assert path.read_bytes() == first


def test_counts_fit_those_of_the_same_photographs_and_classes():
    assert made().fits(made(steps={}))
    assert not made().fits(made(ids=("a", "c")))
    assert not made().fits(made(ids=("bär", "a")))
    assert not made().fits(made(classes=("background", "dog")))


@pytest.mark.parametrize("counts", [COUNTS[:1], COUNTS[:, :1], COUNTS.astype(float), COUNTS[0]])
def test_counts_of_another_shape_or_type_are_refused(counts):
    with pytest.raises(DataError, match="cam of shape"):
        made(steps={"cam": counts})


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_a_broken_file_is_named(tmp_path, content):
    path = tmp_path / "photographs.npz"
    save_counts(path, made())
    path.write_bytes(path.read_bytes()[:-80] if content is None else content)
    with pytest.raises(DataError, match=r"photographs.npz is broken"):
        load_counts(path)


@pytest.mark.parametrize("arrays", [{"ids": ["a", "b"]}, {"ids": ["a", "b"], "classes": ["c"], "cam": COUNTS}])
def test_another_archive_is_named(tmp_path, arrays):
    path = tmp_path / "photographs.npz"
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=r"photographs.npz is broken"):
        load_counts(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"photographs.npz is missing"):
        load_counts(tmp_path / "photographs.npz")
