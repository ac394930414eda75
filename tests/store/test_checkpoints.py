"""Checkpoints: round trip, and a clear refusal of everything else."""

import contextlib
import os
import pickle
import warnings
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

from wsgcn.errors import DataError
from wsgcn.store.checkpoints import (
    load_checkpoint,
    load_part,
    read_settings,
    read_state,
    read_unfinished,
    save_checkpoint,
    save_unfinished,
    write_tensors,
)
from wsgcn.store.seal import write_sealed

SETTINGS = {"backbone": "tiny", "classes": 3, "dilations": [1, 2]}


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "deep" / "checkpoint.pt"
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    save_checkpoint(path, "cams/I", SETTINGS, net)
    return path, net


def fresh():
    return nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)).train()


def test_round_trip_gives_the_same_network_in_evaluation(saved):
    path, net = saved
    loaded = fresh()
    load_checkpoint(path, "cams/I", SETTINGS, loaded)
    assert not loaded.training
    assert all(torch.equal(one, loaded.state_dict()[key]) for key, one in net.state_dict().items())
    assert read_settings(path, "cams/I") == SETTINGS
    assert [one.name for one in path.parent.iterdir()] == ["checkpoint.pt"]


@pytest.mark.parametrize("read", [lambda path: load_checkpoint(path, "segtrain", SETTINGS, fresh()),
                                  lambda path: read_settings(path, "segtrain")])  # fmt: skip
def test_another_network_is_refused(saved, read):
    with pytest.raises(DataError, match="holds the network 'cams/I', not 'segtrain'"):
        read(saved[0])


def test_other_settings_are_refused(saved):
    with pytest.raises(DataError, match=r"made with .*'classes': 3.* not .*'classes': 4"):
        load_checkpoint(saved[0], "cams/I", SETTINGS | {"classes": 4}, fresh())


def test_other_structure_is_refused(saved):
    with pytest.raises(DataError, match=r"does not fit cams/I: 0 missing, 4 unexpected \(1\.bias, .*, …\)"):
        load_checkpoint(saved[0], "cams/I", SETTINGS, nn.Sequential(nn.Conv2d(1, 2, 1)))
    with pytest.raises(DataError, match=r"does not fit cams/I.*size mismatch"):
        load_checkpoint(saved[0], "cams/I", SETTINGS, nn.Sequential(nn.Conv2d(4, 2, 1), nn.BatchNorm2d(2)))


def test_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.pt is missing"):
        read_settings(tmp_path / "none.pt", "cams/I")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_truncated_file_is_named(saved, share):
    path, _ = saved
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=r"checkpoint\.pt cannot be read as weights"):
        read_settings(path, "cams/I")


@pytest.mark.parametrize("garbage", [b"not weights at all\n", bytes(range(256)) * 8, b"PK\x03\x04" + b"x" * 500])
def test_garbage_is_named(tmp_path, garbage):
    path = tmp_path / "garbage.pth"
    path.write_bytes(garbage)
    with pytest.raises(DataError, match=r"garbage\.pth cannot be read as weights"):
        read_state(path)


def test_any_damage_is_a_data_error(tmp_path):
    """Damaged files of PyTorch's two formats once escaped as IndexError, TypeError and struct.error."""
    path, random = tmp_path / "damaged.pth", np.random.default_rng(0)
    for new_format in (True, False):
        torch.save({"weight": torch.ones(3)}, path, _use_new_zipfile_serialization=new_format)
        whole = path.read_bytes()
        for _ in range(150):
            damaged = bytearray(whole[: random.integers(len(whole))])
            for place in random.integers(max(1, len(damaged)), size=min(3, len(damaged))):
                damaged[place] = random.integers(256)
            path.write_bytes(damaged)
            with contextlib.suppress(DataError), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read_state(path)


class Trap:
    """Its unpickling would raise from code of the file's choosing."""

    def __reduce__(self):
        return (pytest.fail, ("the file's code ran",))


@pytest.mark.parametrize(
    "save", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content, protocol=2))]
)
def test_pickled_object_is_refused_and_never_run(tmp_path, save):
    path = tmp_path / "trap.pth"
    save({"weight": Trap()}, path)
    with pytest.raises(DataError, match=r"trap\.pth cannot be read as weights"):
        read_state(path)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, torch.zeros(2), {"network": "cams/I", "state": {}}])
def test_anything_but_a_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "other.pt"
    write_sealed(path, lambda file: torch.save(content, file))
    with pytest.raises(DataError, match="holds the network None, not 'cams/I'"):
        read_settings(path, "cams/I")


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, torch.zeros(2)])
def test_anything_but_a_state_is_refused(tmp_path, content):
    path = tmp_path / "other.pt"
    torch.save(content, path)
    with pytest.raises(DataError, match="not a state_dict"):
        read_state(path)


def test_state_is_read_as_float32_and_counters_stay_whole(tmp_path):
    path = tmp_path / "half.pth"
    torch.save({"weight": torch.ones(2).half(), "count": torch.tensor(3)}, path)
    assert {key: one.dtype for key, one in read_state(path).items()} == {"weight": torch.float32, "count": torch.int64}


@pytest.mark.parametrize("value", [0.0, float("inf"), float("nan")])
def test_weights_that_changed_after_they_were_written_are_noticed(saved, value):
    path, _ = saved
    content = torch.load(path, weights_only=True)
    content["state"]["0.weight"][:] = value
    torch.save(content, path)  # as another program would
    with pytest.raises(DataError, match=r"checkpoint\.pt cannot be read as weights \(it lacks the digest"):
        load_checkpoint(path, "cams/I", SETTINGS, fresh())
    with pytest.raises(DataError, match="lacks the digest"):
        load_part(path, "cams/I", "", fresh())


def test_a_flipped_bit_is_noticed(saved):
    path, _ = saved
    whole = path.read_bytes()
    for place in range(0, len(whole), 41):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(DataError, match=r"checkpoint\.pt cannot be read as weights"):
            read_settings(path, "cams/I")


def test_a_flipped_bit_of_published_weights_is_noticed(tmp_path):
    path = tmp_path / "published.pth"
    torch.save({"weight": torch.arange(100.0)}, path)
    whole = path.read_bytes()
    place = whole.index(torch.arange(100.0).numpy().tobytes()) + 11
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
    with pytest.raises(DataError, match=r"published\.pth .*does not have its check sum.*: fetch it again"):
        read_state(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"state": {"weight": torch.tensor([1, torch.inf])}}, "the weights weight are not finite"),
        ({"state": {f"w{n}": torch.tensor(torch.nan) for n in range(5)}}, "the weights w0, w1, w2, … are not finite"),
        ({"state": {"weight": 3}}, "not a state_dict"),
        ({"state": [torch.ones(1)]}, "not a state_dict"),
        ({"state": {3: torch.ones(1)}}, "not a state_dict"),
        ({"settings": None}, "its settings are no values by name"),
        ({"settings": {"classes": torch.ones(1)}}, "its settings are no values by name"),
    ],
)
def test_content_that_is_no_network_is_refused(tmp_path, content, said):
    path, whole = tmp_path / "a.pt", {"network": "cams/I", "settings": {}, "state": {}}
    write_sealed(path, lambda file: torch.save(whole | content, file))
    with pytest.raises(DataError, match=rf"a\.pt cannot be read as weights \(.*{said}"):
        load_checkpoint(path, "cams/I", {}, fresh())


def test_weights_that_unpack_to_too_much_are_refused_before_there_is_room(tmp_path, monkeypatch):
    monkeypatch.setattr("wsgcn.store.checkpoints.LARGEST", 10**6)
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("archive/data/0", bytes(10**7))
    with pytest.raises(DataError, match=r"bomb\.pth .*unpacked it has 10000000 bytes"):
        read_state(path)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk_is_called_that():
    with open("/dev/full", "wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        write_tensors({"a": torch.zeros(3)}, file)


def test_an_unfinished_training_with_other_weights_begins_anew(tmp_path):
    path, state = tmp_path / "a", {"step": 3, "weights": torch.ones(4)}
    save_unfinished(path, state)
    assert read_unfinished(path)["step"] == 3
    content = path.read_bytes()
    place = content.index(torch.ones(4).numpy().tobytes())
    path.write_bytes(content[:place] + bytes(16) + content[place + 16 :])
    assert read_unfinished(path) is None
