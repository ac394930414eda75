"""Device, seeds and workers."""

import contextlib
import functools
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from wsgcn import runtime
from wsgcn.errors import DataError, StageError, UsageError
from wsgcn.store.files import read_json
from wsgcn.store.paths import Artifacts

IDS = "abcd"


@dataclass(frozen=True)
class Picture:
    id: str


def _write_random(folder: Path, image: Picture) -> bool:
    """A worker's job: b is broken, d was there before, the others write a number drawn from their own seed."""
    if image.id == "b":
        raise DataError(f"{image.id}.jpg is no picture")
    number = torch.rand(1, generator=runtime.generator_for(42, image.id)).item()
    (folder / image.id).write_text(f"{number} {torch.get_num_threads()}")
    return image.id != "d"


def _crash(image: Picture) -> bool:
    raise RuntimeError(f"a bug at {image.id}")


@dataclass(frozen=True)
class _Together:
    """The same job for several at once: b is broken, d was there before."""

    folder: Path

    def __call__(self, image: Picture) -> bool:
        return _write_random(self.folder, image)

    def together(self, images) -> list[bool | DataError]:
        (self.folder / "-".join(image.id for image in images)).touch()
        return [DataError("b is no picture") if image.id == "b" else image.id != "d" for image in images]


def _map(work, ids: str, workers: int, finished=None, groups=None) -> dict[str, float]:
    images = [Picture(one) for one in ids]
    return runtime.map_images(work, images, stage="cams", label="x", workers=workers, finished=finished, groups=groups)


def _failing_run(folder: Path, ids: str, workers: int) -> StageError:
    folder.mkdir()
    with pytest.raises(StageError) as caught:
        _map(functools.partial(_write_random, folder), ids, workers)
    return caught.value


def test_seed_depends_on_names_only():
    forward = {one: runtime.seed_for(42, one) for one in IDS}
    backward = {one: runtime.seed_for(42, one) for one in reversed(IDS)}
    assert forward == backward
    assert (
        len({*forward.values(), runtime.seed_for(43, "a"), runtime.seed_for(42), runtime.seed_for(42, "a", "b")}) == 7
    )
    assert all(0 <= seed < 2**63 for seed in forward.values())


def test_seed_does_not_mix_up_names():
    assert runtime.seed_for(1, "ab", "c") != runtime.seed_for(1, "a", "bc")
    assert runtime.seed_for(1, "2") != runtime.seed_for(12)


def test_seed_stays_what_it_was():
    assert runtime.seed_for(42, "2007_000032") == 2454462232224518255


def test_generator_is_independent_of_the_global_one():
    torch.manual_seed(0)
    one = torch.rand(3, generator=runtime.generator_for(42, "a"))
    torch.manual_seed(1)
    assert torch.equal(torch.rand(3, generator=runtime.generator_for(42, "a")), one)
    assert not torch.equal(torch.rand(3, generator=runtime.generator_for(42, "b")), one)


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_worker_count_is_what_is_asked_for(workers):
    assert runtime.worker_count(workers) == workers


def test_no_worker_count_means_one_a_core():
    assert runtime.worker_count(0) == len(os.sched_getaffinity(0))


def test_threads_are_put_back_after_an_error():
    before = torch.get_num_threads()
    inside = []
    with contextlib.suppress(KeyError), runtime.threads(before + 1):
        inside.append(torch.get_num_threads())
        raise KeyError
    assert inside == [before + 1]
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("name", ["gpu", "", "CPU", "cuda:", "cuda:x", "cuda:-1", "cpu:0", "cuda 0"])
def test_unknown_device_is_named(name):
    with pytest.raises(UsageError) as caught:
        runtime.pick_device(name)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("name", ["cuda:99", "cuda"])
def test_device_that_is_not_there(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(UsageError, match="0 CUDA devices"):
        runtime.pick_device(name)


@pytest.mark.parametrize(("there", "kind"), [(True, "cuda"), (False, "cpu")])
def test_auto_takes_cuda_where_there_is_one(monkeypatch, there, kind):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert runtime.pick_device("auto").type == kind
    assert runtime.pick_device("cpu").type == "cpu"


def test_one_worker_and_two_give_the_same(tmp_path):
    one = _failing_run(tmp_path / "one", "abcd", 1)
    two = _failing_run(tmp_path / "two", "dcba", 2)
    assert one.failures == two.failures == {"b": "b.jpg is no picture"}
    assert str(one) == str(two)
    assert "1 of 4" in str(one)
    made = [{path.name: path.read_text() for path in (tmp_path / name).iterdir()} for name in ("one", "two")]
    assert made[0] == made[1]
    assert sorted(made[0]) == ["a", "c", "d"]
    assert all(text.endswith(" 1") for text in made[0].values())


def test_finished_is_called_for_each_success_and_seconds_are_of_those_made(tmp_path):
    done = []
    seconds = _map(functools.partial(_write_random, tmp_path), "acd", 1, done.append)
    assert done == ["a", "c", "d"]
    assert list(seconds) == ["a", "c"]
    assert all(value >= 0 for value in seconds.values())


@pytest.mark.parametrize("workers", [1, 2])
def test_groups_are_done_together(tmp_path, workers):
    groups = [[Picture(one) for one in ids] for ids in ("cbd", "ef", "a")]
    done = []
    with pytest.raises(StageError) as caught:
        _map(_Together(tmp_path), "abcdef", workers, done.append, groups)
    assert caught.value.failures == {"b": "b is no picture"}
    assert "1 of 6" in str(caught.value)
    assert sorted(done) == ["a", "c", "d", "e", "f"]
    assert {path.name for path in tmp_path.iterdir()} == {"c-b-d", "e-f", "a"}


def test_a_group_shares_its_seconds(tmp_path):
    seconds = _map(_Together(tmp_path), "cde", 1, groups=[[Picture(one) for one in "cde"]])
    assert seconds.keys() == {"c", "e"}
    assert seconds["c"] == seconds["e"]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_nothing_to_do_is_no_error(workers):
    assert _map(_crash, "", workers) == {}


def test_a_bug_is_not_swallowed():
    with pytest.raises(RuntimeError, match="a bug at a"):
        _map(_crash, "a", 1)


def _write_slowly(folder: Path, image: Picture) -> bool:
    time.sleep(0.05)
    (folder / image.id).touch()
    return True


def test_interrupt_does_not_wait_for_the_images_that_wait(tmp_path):
    def interrupt(image_id):
        raise KeyboardInterrupt

    ids = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN"
    with pytest.raises(KeyboardInterrupt):
        _map(functools.partial(_write_slowly, tmp_path), ids, 2, interrupt)
    assert 1 <= len(list(tmp_path.iterdir())) < len(ids) // 2


def _die(image: Picture) -> bool:
    os.kill(os.getpid(), signal.SIGKILL)
    return True


def test_killed_worker_is_one_line_about_memory():
    with pytest.raises(UsageError, match=r"worker process was killed.*fewer runtime\.workers"):
        _map(_die, "ab", 2)


def test_cores_are_counted_where_affinity_is_unknown(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    assert runtime.core_count() == os.cpu_count()


def test_per_image_stage_clears_makes_and_sums_up(tmp_path):
    artifacts = Artifacts(tmp_path)
    folder = artifacts.folder("crf", "PSA")
    folder.mkdir(parents=True)
    (folder / "gone.png").touch()

    def work(image: Picture) -> bool:
        artifacts.label_map("crf", "PSA", image.id).touch()
        return image.id == "a"

    done: list[str] = []
    images = [Picture("a"), Picture("c")]
    runtime.make_files(
        work, images, artifacts=artifacts, stage="crf", name="PSA", suffix=".png", workers=1, finished=done.append
    )
    assert sorted(one.name for one in folder.iterdir()) == ["a.png", "c.png"]
    assert done == ["a", "c"]
    summary = read_json(artifacts.summary("crf", "PSA"))
    assert (summary["images"], summary["made"]) == (2, 1)
