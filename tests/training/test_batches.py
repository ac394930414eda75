"""Batches: every photograph once an epoch, the same for any number of threads, errors reach the training."""

import time
from collections import Counter

import pytest
import torch

import wsgcn.training.batches as module
from wsgcn.errors import DataError
from wsgcn.training.batches import batches, epoch_order

ITEMS = {f"i{number}": number for number in range(7)}


def draw(item, generator):
    time.sleep(0.002 * (item % 3))  # so that threads finish out of order
    return item, float(torch.rand((), generator=generator))


def drawn(**changes):
    arguments = {"batch": 3, "steps": 7, "run_seed": 1, "name": "t"} | changes
    return list(batches(ITEMS, draw, **arguments))


def test_epoch_order_is_a_permutation_that_every_name_changes():
    orders = [epoch_order(*key, 50) for key in ((1, "a", 0), (1, "a", 1), (1, "b", 0), (2, "a", 0))]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4
    assert orders[0] == epoch_order(1, "a", 0, 50)


def test_each_epoch_shows_each_item_once():
    flat = [item for batch in drawn() for item, _ in batch]
    assert len(flat) == 21
    assert all(Counter(flat[start : start + 7]) == Counter(range(7)) for start in (0, 7, 14))


@pytest.mark.parametrize("threads", [1, 3])
def test_thread_count_changes_nothing(monkeypatch, threads):
    expected = drawn()
    monkeypatch.setattr(module, "_THREADS", threads)
    assert drawn() == expected


def test_crops_differ_by_epoch_and_seed():
    first, other = drawn(), drawn(run_seed=2)
    draws = [value for batch in first for _, value in batch]
    assert len(set(draws)) == 21
    assert not set(draws) & {value for batch in other for _, value in batch}


@pytest.mark.parametrize(("batch", "steps"), [(1, 1), (10, 2), (3, 0)])
def test_sizes_are_kept_even_for_fewer_items_than_a_batch(batch, steps):
    assert [len(one) for one in drawn(batch=batch, steps=steps)] == [batch] * steps


@pytest.mark.parametrize("processes", [2, 3])
def test_parts_of_all_processes_make_the_whole_batch(processes):
    parts = [drawn(part=(rank, processes)) for rank in range(processes)]
    for number, whole in enumerate(drawn()):
        assert [parts[place % processes][number][place // processes] for place in range(3)] == whole
        assert sum(len(part[number]) for part in parts) == 3


def test_broken_photo_reaches_the_training():
    def broken(item, generator):
        raise DataError(f"photo {item} is broken")

    with pytest.raises(DataError, match="is broken"):
        list(batches(ITEMS, broken, batch=2, steps=2, run_seed=0, name="t"))


def test_leaving_early_ends_the_threads():
    feed = batches(ITEMS, draw, batch=2, steps=1000, run_seed=0, name="t")
    next(feed)
    feed.close()
