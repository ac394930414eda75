"""Work in worker processes: the same for any number of them, errors named, no worker left behind."""

import functools
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from wsgcn.errors import DataError, StageError, UsageError
from wsgcn.runtime.cores import core_count
from wsgcn.runtime.seeds import generator_for
from wsgcn.runtime.workers import Done, EachImage, map_images


@dataclass(frozen=True)
class Photograph:
    id: str


def _write_random(folder: Path, image: Photograph) -> None:
    """A worker's job: b is broken, the others write a number drawn from their own seed."""
    if image.id == "b":
        raise DataError(f"{image.id}.jpg is no picture")
    number = torch.rand(1, generator=generator_for(42, image.id)).item()
    (folder / image.id).write_text(f"{number} {torch.get_num_threads()}")


def _crash(image: Photograph) -> None:
    raise RuntimeError(f"a bug at {image.id}")


@dataclass(frozen=True)
class _Together:
    """Several at once: b is broken, d was there before, the others took half a second."""

    folder: Path

    def __call__(self, images) -> list[Done | DataError]:
        (self.folder / "-".join(image.id for image in images)).touch()
        return [
            DataError("b is no picture") if image.id == "b" else Done(None if image.id == "d" else 0.5)
            for image in images
        ]


def _map(work, groups, workers: int, finished=None) -> dict[str, float]:
    """Does groups of images, given by the letters of their ids."""
    images = [[Photograph(one) for one in ids] for ids in groups]
    return map_images(work, images, stage="cams", label="x", workers=workers, finished=finished)


def _failing_run(folder: Path, ids: str, workers: int) -> StageError:
    folder.mkdir()
    with pytest.raises(StageError) as caught:
        _map(EachImage(functools.partial(_write_random, folder)), ids, workers)
    return caught.value


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
    seconds = _map(EachImage(functools.partial(_write_random, tmp_path)), "ac", 1, done.append)
    assert done == ["a", "c"] == list(seconds)
    assert all(value >= 0 for value in seconds.values())
    assert _map(_Together(tmp_path), ["ad", "c"], 1, done.append) == {"a": 0.5, "c": 0.5}
    assert done == ["a", "c", "a", "d", "c"]


@pytest.mark.parametrize("workers", [1, 2])
def test_groups_are_done_together(tmp_path, workers):
    done = []
    with pytest.raises(StageError) as caught:
        _map(_Together(tmp_path), ["cbd", "ef", "a"], workers, done.append)
    assert caught.value.failures == {"b": "b is no picture"}
    assert "1 of 6" in str(caught.value)
    assert sorted(done) == ["a", "c", "d", "e", "f"]
    assert {path.name for path in tmp_path.iterdir()} == {"c-b-d", "e-f", "a"}


def test_work_that_forgets_an_image_is_a_bug(tmp_path):
    with pytest.raises(ValueError, match="zip"):
        _map(lambda images: [], ["a"], 1)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_nothing_to_do_is_no_error(workers):
    assert _map(EachImage(_crash), "", workers) == {}


def test_a_bug_is_not_swallowed():
    with pytest.raises(RuntimeError, match="a bug at a"):
        _map(EachImage(_crash), "a", 1)


def _write_slowly(folder: Path, image: Photograph) -> None:
    time.sleep(0.05)
    (folder / image.id).touch()


def test_interrupt_does_not_wait_for_the_images_that_wait(tmp_path):
    def interrupt(image_id):
        raise KeyboardInterrupt

    ids = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN"
    with pytest.raises(KeyboardInterrupt):
        _map(EachImage(functools.partial(_write_slowly, tmp_path)), ids, 2, interrupt)
    assert 1 <= len(list(tmp_path.iterdir())) < len(ids) // 2


def _die(image: Photograph) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_killed_worker_is_one_line_about_memory():
    with pytest.raises(UsageError, match=r"worker process was killed.*fewer runtime\.workers"):
        _map(EachImage(_die), "ab", 2)


def test_less_memory_than_cores_is_told_and_fewer_work(capfd, tmp_path):
    groups = [[Photograph(one)] for one in "acd"]
    work = EachImage(functools.partial(_write_random, tmp_path))
    found = map_images(work, groups, stage="test", label="test", workers=0, memory=10**15)
    assert found.keys() == {"a", "c", "d"}
    manner = "1 process" + (", as memory is for no more: 1000000.0 GB each" if core_count() > 1 else "")
    assert f"test: 3 to do, {manner}\n" in capfd.readouterr().err
