"""Fingerprints: what made a file, and digests of contents."""

import numpy as np
import pytest

from wsgcn.errors import DataError
from wsgcn.store.files import write_text
from wsgcn.store.fingerprints import DigestedFile, file_digest, fingerprint, read_fingerprint, require_fingerprint
from wsgcn.store.records import Cams, save_record


def test_fingerprint_depends_on_room_parameters_and_inputs():
    base = fingerprint("crf", [{"a": 1, "b": 2}], ["x"])
    assert base == fingerprint("crf", [{"b": 2, "a": 1}], iter(["x"]))
    others = [
        fingerprint("cams", [{"a": 1, "b": 2}], ["x"]),
        fingerprint("crf", [{"a": 1, "b": 3}], ["x"]),
        fingerprint("crf", [{"a": 1, "b": 2}], ["y"]),
        fingerprint("crf", [{"a": 1, "b": 2}], ["x", "x"]),
    ]
    assert len({base, *others}) == 5
    assert len(base) == 32
    int(base, 16)


def test_fingerprint_of_real_parameters(tiny_params):
    kind = tiny_params.propagate["gcn-i"]
    one = fingerprint("propagate", [kind.dump()], [])
    assert one == fingerprint("propagate", [kind.model_copy().dump()], [])
    assert one != fingerprint("propagate", [kind.model_copy(update={"lr": 0.5}).dump()], [])


@pytest.mark.parametrize("name", ["a.npz", "a.png"])
def test_no_fingerprint_where_there_is_none(tmp_path, name):
    assert read_fingerprint(tmp_path / name) is None
    with pytest.raises(DataError, match=f"{name} is missing: run its stage first"):
        require_fingerprint(tmp_path / name)
    (tmp_path / name).write_bytes(b"broken")
    assert read_fingerprint(tmp_path / name) is None
    with pytest.raises(DataError, match=f"{name} is broken: delete it"):
        require_fingerprint(tmp_path / name)


def test_fingerprint_of_a_stages_file_is_required_and_found(tmp_path):
    path = tmp_path / "a.npz"
    save_record(path, Cams(np.array([1]), np.ones((1, 2, 3), np.float32)), "f00d")
    assert require_fingerprint(path) == "f00d"


def test_file_digest_follows_the_content(tmp_path):
    path = tmp_path / "a"
    write_text(path, "one")
    one = file_digest(path)
    write_text(path, "two")
    assert file_digest(path) != one
    write_text(path, "one")
    assert file_digest(path) == one


def test_a_file_that_many_need_is_digested_once_and_may_be_missing(tmp_path):
    path = tmp_path / "checkpoint.pt"
    assert DigestedFile.of(path) == DigestedFile(path, "")
    write_text(path, "weights")
    known = DigestedFile.of(path)
    assert known.digest == file_digest(path)
    write_text(path, "others")
    assert known.digest != DigestedFile.of(path).digest
