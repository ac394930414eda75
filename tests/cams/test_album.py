"""Photographs by their classes, and who goes with whom."""

import pickle

import torch

from wsgcn.cams.album import Album, CompanySample, drawn

SHOWN = {"d": (1, 2), "a": (1,), "c": (2,), "b": (1,), "e": (1, 2), "f": (3,)}


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_photographs_are_found_by_a_class_and_by_all_classes():
    album = Album.of(SHOWN)
    assert album.showing == {1: ["a", "b", "d", "e"], 2: ["c", "d", "e"], 3: ["f"]}
    assert album.alike == {(1,): ["a", "b"], (2,): ["c"], (1, 2): ["d", "e"], (3,): ["f"]}
    assert Album.of(dict(reversed(SHOWN.items()))) == album


def test_everyone_who_shows_the_class_is_drawn():
    album, generator = Album.of(SHOWN), _generator()
    assert {album.drawn("c", 2, generator) for _ in range(60)} == {"c", "d", "e"}
    assert album.drawn("z", 9, generator) == "z"
    assert {drawn((5, 7), generator) for _ in range(30)} == {5, 7}


def test_a_group_has_the_same_classes_or_shares_one():
    album = Album.of(SHOWN)
    groups = [album.group("a", (1,), 1, _generator(seed)) for seed in range(20)]
    assert groups == [["b"]] * 20  # the only other with exactly this class
    groups = [album.group("a", (1,), 2, _generator(seed)) for seed in range(40)]
    assert {one for group in groups for one in group} == {"b", "d", "e"}
    assert all(len(set(group)) == 2 for group in groups)
    assert {tuple(album.group("d", (1, 2), 2, _generator(seed))) for seed in range(200)} == {
        ("a", "b"), ("b", "a"), ("a", "e"), ("e", "a"), ("b", "e"), ("e", "b"), ("c", "e"), ("e", "c")
    }  # fmt: skip


def test_a_group_of_too_few_repeats_them():
    album = Album.of(SHOWN)
    assert album.group("f", (3,), 2, _generator()) == ["f", "f"]
    assert set(album.group("c", (2,), 5, _generator())) <= {"d", "e"}


def _single(image_id, generator):
    return torch.tensor([float(ord(image_id)), torch.rand((), generator=generator)]), torch.tensor(len(image_id))


def _next_two(album, image_id, class_ids, generator):
    return [album.drawn(image_id, one, generator) for one in class_ids]


def test_a_sample_is_the_photographs_then_its_company():
    make = CompanySample(_single, SHOWN, Album.of({one: SHOWN[one] for one in "ac"}), _next_two)
    sample = make("d", _generator())
    assert [int(part[0]) for part in sample[::2]] == [ord("d"), ord("a"), ord("c")]
    assert pickle.dumps(make)  # other processes take it
