"""The digest that a file of ours carries of its content."""

import io
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from wsgcn.store.seal import check_seal, write_sealed


def _npz(file):
    np.savez(file, a=np.arange(5))


def _checkpoint(file):
    torch.save({"weight": torch.arange(5)}, file)


def _png(file):
    Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4)).save(file, format="PNG")


each_format = pytest.mark.parametrize("write", [_npz, _checkpoint, _png])


@pytest.fixture
def sealed(tmp_path, write):
    path = tmp_path / "file"
    write_sealed(path, write)
    return path


@each_format
def test_any_other_byte_is_noticed(sealed):
    content = sealed.read_bytes()
    check_seal(io.BytesIO(content))
    for place in range(len(content)):
        damaged = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        with pytest.raises(ValueError, match=r"digest|neither"):
            check_seal(io.BytesIO(damaged))
    for length in range(len(content)):
        with pytest.raises(ValueError, match=r"digest|neither"):
            check_seal(io.BytesIO(content[:length]))


@each_format
def test_the_same_content_gives_the_same_bytes(sealed, write, tmp_path):
    write_sealed(tmp_path / "other", write)
    assert (tmp_path / "other").read_bytes() == sealed.read_bytes()


@pytest.mark.parametrize("write", [_npz, _checkpoint])
def test_other_programs_read_a_sealed_archive(sealed, write):
    with zipfile.ZipFile(sealed) as archive:
        assert archive.testzip() is None
    plain = io.BytesIO()
    write(plain)
    if write is _npz:
        assert np.load(sealed, allow_pickle=False)["a"].tolist() == [0, 1, 2, 3, 4]
    else:
        assert torch.load(sealed, weights_only=True)["weight"].tolist() == [0, 1, 2, 3, 4]
    assert sealed.stat().st_size == len(plain.getvalue()) + 64


@pytest.mark.parametrize("write", [_png])
def test_other_programs_read_a_sealed_picture(sealed):
    with Image.open(sealed) as image:
        image.verify()
    with Image.open(sealed) as image:
        assert np.array(image).ravel().tolist() == [*range(12)]
        assert len(image.info["digest"]) == 64


@each_format
def test_a_file_without_a_digest_is_told_from_a_damaged_one(write):
    file = io.BytesIO()
    write(file)
    with pytest.raises(ValueError, match="lacks the digest"):
        check_seal(file)


def test_what_has_no_room_for_a_digest_is_not_written(tmp_path):
    for content in (b"text", b"PK", b"PK and no archive"):
        with pytest.raises(ValueError, match=r"neither|ends otherwise"):
            write_sealed(tmp_path / "a", lambda file, content=content: file.write(content))
    assert list(tmp_path.iterdir()) == []
