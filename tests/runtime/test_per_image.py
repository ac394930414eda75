"""The template of a per-image stage: nothing is computed twice, errors leave the others alone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.chain import contents
from wsgcn.errors import DataError, StageError, WsgcnError
from wsgcn.runtime.per_image import PerImage, make_files, seconds_per_image
from wsgcn.runtime.shard import Shard
from wsgcn.store.files import read_json, write_json
from wsgcn.store.fingerprints import file_digest
from wsgcn.store.finished import FinishedWork
from wsgcn.store.index import ImageRecord
from wsgcn.store.label_maps import load_label_map, save_label_map

IMAGES = [ImageRecord(one, f"{one}.txt", 2, 3, (1,), ("train",)) for one in "abcd"]


@dataclass(frozen=True)
class Fill(PerImage[NDArray[np.uint8]]):
    """Fills a label map with a text's length and a number; every computation is a line of a log."""

    root: Path
    number: int

    suffix: ClassVar[str] = ".png"

    def inputs(self, image: ImageRecord) -> list[str]:
        return [file_digest(self.root / image.photo)]

    def settings(self, image: ImageRecord) -> object:
        return ["fill", self.number, image.id]

    def compute(self, image: ImageRecord) -> NDArray[np.uint8]:
        self.note(image.id)
        text = (self.root / image.photo).read_text()
        if text == "broken":
            raise DataError(f"{image.photo} is broken")
        return np.full((2, 3), len(text) + self.number, np.uint8)

    def save(self, path: Path, result: NDArray[np.uint8], mark: str) -> None:
        save_label_map(path, result, mark)

    def note(self, line: str) -> None:
        with (self.root / "log").open("a") as file:
            file.write(f"{line}\n")


@dataclass(frozen=True)
class FillTogether(Fill):
    """The same, several at once."""

    size: int

    def together(self, images: Sequence[ImageRecord]) -> list[list[ImageRecord]]:
        return [list(images[start : start + self.size]) for start in range(0, len(images), self.size)]

    def compute_together(self, images: Sequence[ImageRecord]) -> list[NDArray[np.uint8] | WsgcnError]:
        self.note("+".join(image.id for image in images))
        return super().compute_together(images)


@pytest.fixture
def fill(tmp_path):
    """A stage of four images; the text of each is as long as its place."""
    root = tmp_path / "root"
    root.mkdir()
    for number, image in enumerate(IMAGES):
        (root / image.photo).write_text("x" * number)
    return Fill(folder=tmp_path / "fill", code="code", finished=FinishedWork(tmp_path / "store"), root=root, number=5)


def run(make, images=IMAGES, workers=1, finished=None, store_gb=1.0, **more) -> Path:
    """Runs the stage; gives its summary."""
    summary = make.folder.with_suffix(".summary.json")
    make_files(
        make,
        images,
        stage="fill",
        label="fill",
        workers=workers,
        store_gb=store_gb,
        summary=summary,
        finished=finished,
        **more,
    )
    return summary


def computed(make) -> list[str]:
    """What was computed since this was asked last."""
    log = make.root / "log"
    lines = log.read_text().split() if log.exists() else []
    log.unlink(missing_ok=True)
    return lines


# ---------------------------------------------------------------- the stage as a whole


def test_leftovers_go_missing_files_are_made_and_the_summary_says_how_long(fill):
    fill.folder.mkdir()
    for name in ("gone.png", ".a.png.xyz.part"):
        (fill.folder / name).touch()
    done: list[str] = []
    summary = run(fill, IMAGES[::2], finished=done.append)
    assert sorted(contents(fill.folder)) == ["a.png", "c.png"]
    assert [load_label_map(fill.path(one)).max() for one in "ac"] == [5, 7]
    assert done == computed(fill) == ["a", "c"]
    assert read_json(summary).keys() == {"images", "seconds_per_image"}
    assert read_json(summary)["images"] == 2
    assert seconds_per_image(summary) > 0
    with pytest.raises(DataError, match="is missing"):
        seconds_per_image(summary.with_name("none.json"))


def test_two_workers_make_the_same_files_and_keep_them(fill, tmp_path):
    run(fill)
    alone = contents(fill.folder)
    other = replace(fill, folder=tmp_path / "two", finished=FinishedWork(tmp_path / "other"))
    run(other, IMAGES[::-1], workers=2)
    assert contents(other.folder) == alone
    assert sorted(computed(fill)) == sorted("abcd" * 2)
    shutil.rmtree(other.folder)
    run(other, workers=2)
    assert contents(other.folder) == alone
    assert computed(fill) == []


def test_a_failing_image_is_named_and_the_others_are_made(fill):
    (fill.root / "b.txt").write_text("broken")
    (fill.root / "c.txt").unlink()
    done: list[str] = []
    with pytest.raises(StageError) as caught:
        run(fill, finished=done.append)
    assert caught.value.failures["b"] == "b.txt is broken"
    assert caught.value.failures["c"].endswith("c.txt is missing")
    assert str(caught.value).startswith("fill: 2 of 4 images failed")
    assert done == ["a", "d"]
    assert sorted(contents(fill.folder)) == ["a.png", "d.png"]
    (fill.root / "b.txt").write_text("mended")
    (fill.root / "c.txt").write_text("xx")
    assert computed(fill) == ["a", "b", "d"]
    run(fill)
    assert computed(fill) == ["b", "c"]


def test_a_bug_is_not_swallowed_and_leaves_nothing_half(fill, monkeypatch):
    monkeypatch.setattr("wsgcn.store.label_maps.PngImagePlugin.PngInfo.add_text", None)
    with pytest.raises(TypeError):
        run(fill)
    assert not fill.folder.exists()
    assert not fill.finished.root.exists()


# ---------------------------------------------------------------- nothing is computed twice


def test_up_to_date_files_are_left_alone(fill):
    summary = run(fill)
    before, text = {path: path.stat() for path in fill.folder.iterdir()}, summary.read_bytes()
    computed(fill)
    done: list[str] = []
    run(fill, finished=done.append)
    assert {path: path.stat() for path in fill.folder.iterdir()} == before
    assert summary.read_bytes() == text
    assert computed(fill) == []
    assert done == ["a", "b", "c", "d"]


def test_an_interrupted_stage_goes_on_although_its_folder_was_emptied(fill):
    """DVC deletes a stage's outputs before it runs it."""

    def interrupt(image_id):
        if image_id == "b":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(fill, finished=interrupt)
    assert computed(fill) == ["a", "b"]
    shutil.rmtree(fill.folder)
    run(fill)
    assert computed(fill) == ["c", "d"]
    assert [load_label_map(fill.path(one)).max() for one in "abcd"] == [5, 6, 7, 8]
    assert all(path.stat().st_nlink == 2 for path in fill.folder.iterdir())


def test_a_complete_restore_gives_the_same_summary_in_whatever_order(fill):
    summary = run(fill)
    for seconds, note in zip((1e16, 1.0, 1.0, 1.0), fill.finished.root.glob("??/*.json"), strict=True):
        write_json(note, read_json(note) | {"seconds": seconds})
    before, computed_first = contents(fill.folder), computed(fill)
    texts = set()
    for images in (IMAGES, IMAGES[::-1], IMAGES[1:] + IMAGES[:1]):
        shutil.rmtree(fill.folder)
        summary.unlink()
        run(fill, images)
        texts.add(summary.read_bytes())
        assert contents(fill.folder) == before
    assert len(texts) == 1
    assert seconds_per_image(summary) == (1e16 + 4) / 4  # in floats, 1e16 + 1 + 1 + 1 would be 1e16
    assert len(computed_first) == 4
    assert computed(fill) == []


def test_earlier_settings_inputs_and_code_compute_nothing_again(fill):
    ways = (fill, replace(fill, number=9), replace(fill, code="other"))
    files = []
    for make in (*ways, *ways):
        run(make)
        files.append(contents(fill.folder))
    assert files[:3] == files[3:]
    assert files[0] != files[1]
    assert len(computed(fill)) == 12
    text = (fill.root / "b.txt").read_text()
    for content in ("other", text, "other"):
        (fill.root / "b.txt").write_text(content)
        run(fill)
    assert computed(fill) == ["b"]


def test_another_folder_takes_what_one_has_finished(fill, tmp_path):
    run(fill)
    other = replace(fill, folder=tmp_path / "other")
    run(other)
    assert computed(fill) == list("abcd")
    assert all(other.path(one).samefile(fill.path(one)) for one in "abcd")


def test_damaged_files_are_replaced_and_a_damaged_copy_is_computed_again(fill):
    run(fill)
    whole = contents(fill.folder)
    computed(fill)
    fill.path("a").unlink()
    fill.path("a").write_bytes(whole["a.png"][:40])
    run(fill)
    assert computed(fill) == []
    fill.path("b").write_bytes(whole["b.png"][:40])  # in place, which damages what the store links, too
    run(fill)
    assert computed(fill) == ["b"]
    assert contents(fill.folder) == whole


def test_files_that_the_store_no_longer_knows_stay(fill):
    summary = run(fill)
    text = summary.read_bytes()
    before = {path: path.stat().st_mtime_ns for path in fill.folder.iterdir()}
    shutil.rmtree(fill.finished.root)
    run(fill)
    assert {path: path.stat().st_mtime_ns for path in fill.folder.iterdir()} == before
    assert summary.read_bytes() == text
    summary.unlink()
    run(fill)
    assert read_json(summary) == {"images": 4, "seconds_per_image": None}
    assert seconds_per_image(summary) is None
    assert len(computed(fill)) == 4


def test_the_store_keeps_what_is_in_use_and_its_room_of_the_rest(fill):
    run(fill)
    shutil.rmtree(fill.folder)
    run(replace(fill, number=9), store_gb=1e-9)
    assert len(list(fill.finished.root.glob("??/*.json"))) == 4
    computed(fill)
    run(fill)
    assert len(computed(fill)) == 4


def test_without_hard_links_it_is_the_same(fill, monkeypatch):
    def refuse(*given):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    run(fill)
    before = contents(fill.folder)
    shutil.rmtree(fill.folder)
    run(fill)
    assert contents(fill.folder) == before
    assert computed(fill) == list("abcd")


# ---------------------------------------------------------------- shards


def test_shards_in_any_order_make_the_files_and_the_stage_after_them_the_rest(fill, tmp_path):
    whole = replace(fill, folder=tmp_path / "whole", finished=FinishedWork(tmp_path / "other"))
    run(whole)
    computed(fill)
    fill.folder.mkdir()
    others = fill.folder / ".b.png.xyz.part"  # of another shard, which is at work
    others.touch()
    for number in (3, 1, 2):
        summary = run(fill, shard=Shard(number, 3), store_gb=1e-9)
        assert others.exists()
        assert not summary.exists()
    assert computed(fill) == ["c", "a", "d", "b"]
    assert run(fill).exists()
    assert computed(fill) == []
    assert not others.exists()
    assert contents(fill.folder) == contents(whole.folder)
    assert read_json(summary)["images"] == 4
    assert seconds_per_image(summary) > 0


def test_the_stage_finds_what_shards_made_although_dvc_emptied_its_folder(fill):
    for number in (1, 2):
        run(fill, shard=Shard(number, 2))
    shutil.rmtree(fill.folder)
    computed(fill)
    run(fill, store_gb=1e-9)
    assert computed(fill) == []


def test_a_shard_names_its_own_failures(fill):
    (fill.root / "b.txt").write_text("broken")
    run(fill, shard=Shard(1, 2))
    with pytest.raises(StageError, match=r"1 of 2 images failed.*b: b\.txt is broken"):
        run(fill, shard=Shard(2, 2))
    with pytest.raises(StageError, match=r"1 of 4 images failed.*b: b\.txt is broken"):
        run(fill)
    assert sorted(contents(fill.folder)) == ["a.png", "c.png", "d.png"]


# ---------------------------------------------------------------- several at once


@pytest.fixture
def together(fill):
    return FillTogether(**vars(fill), size=3)


def test_a_group_is_computed_at_once_and_shares_its_seconds(together, fill, tmp_path):
    run(together)
    assert computed(together) == ["a+b+c", "a", "b", "c", "d", "d"]
    alone = replace(fill, folder=tmp_path / "alone", finished=FinishedWork(tmp_path / "other"))
    run(alone)
    assert contents(together.folder) == contents(alone.folder)
    seconds = [read_json(path)["seconds"] for path in together.finished.root.glob("??/*.json")]
    assert len(seconds) == 4
    assert len(set(seconds)) == 2


def test_a_failing_member_of_a_group_leaves_the_others_alone(together):
    (together.root / "b.txt").write_text("broken")
    with pytest.raises(StageError) as caught:
        run(together)
    assert caught.value.failures == {"b": "b.txt is broken"}
    assert sorted(contents(together.folder)) == ["a.png", "c.png", "d.png"]


def test_only_those_of_a_group_that_are_left_are_computed(together):
    run(together, IMAGES[:1])
    (together.root / "c.txt").unlink()
    computed(together)
    with pytest.raises(StageError) as caught:
        run(together)
    assert list(caught.value.failures) == ["c"]
    assert computed(together) == ["b", "b", "d", "d"]
