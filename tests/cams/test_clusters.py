"""k-means and sub-categories: the best clusters, the same for the same seed, and photographs of several classes."""

import numpy as np
import pytest
import torch

from tests.reference import clusters as slow
from wsgcn.cams.clusters import descended, k_means, spread_start, sub_categories


def points(count, features=3, seed=0):
    return np.random.default_rng(seed).normal(size=(count, features))


def drawn(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("seed", range(4))
def test_steps_are_those_of_lloyd(seed):
    some = points(30, seed=seed)
    labels, cost = descended(some, some[:4])
    assert labels.tolist() == slow.lloyd(some.tolist(), some[:4].tolist())
    assert cost == pytest.approx(slow.spread(some.tolist(), labels.tolist()))


@pytest.mark.parametrize(("count", "clusters"), [(8, 2), (8, 3), (9, 3), (6, 4)])
def test_of_all_ways_the_best_is_found(count, clusters):
    some = points(count, 2, seed=count + clusters)
    cost, expected = slow.best_clusters(some.tolist(), clusters)
    labels = k_means(some + 100, clusters, drawn())  # far from the origin
    assert slow.as_sets(labels.tolist()) == expected
    assert slow.spread(some.tolist(), labels.tolist()) == pytest.approx(cost)


def test_a_start_is_drawn_by_squared_distances():
    """Beside a point there are one at a distance of 1 and one at 3: the further one comes 9 times as often."""
    line = np.array([[0.0], [1.0], [3.0]])
    starts = [spread_start(line, 2, drawn(seed)).ravel().tolist() for seed in range(3000)]
    seconds = [second for first, second in starts if first == 0]
    assert 850 < len(seconds) < 1150  # a third of them begins there
    assert np.mean([one == 3 for one in seconds]) == pytest.approx(0.9, abs=0.03)
    assert all(first != second for first, second in starts)


def test_same_generator_same_clusters_and_no_global_state():
    some = points(40, seed=3).astype(np.float32)
    before = torch.random.get_rng_state()
    assert k_means(some, 5, drawn(1)).tolist() == k_means(some, 5, drawn(1)).tolist()
    assert torch.equal(torch.random.get_rng_state(), before)
    assert len({tuple(k_means(some, 5, drawn(seed)).tolist()) for seed in range(3)}) > 1  # numbers, or the clusters


@pytest.mark.parametrize("count", [1, 2, 3])
def test_fewer_points_than_clusters_are_each_their_own(count):
    assert sorted(k_means(points(count), 3, drawn()).tolist()) == list(range(count))


def test_points_that_are_all_alike_make_one_cluster():
    assert len(set(k_means(np.ones((5, 2)), 3, drawn()).tolist())) == 1


def test_each_class_is_clustered_by_its_own_photographs():
    """Two groups lie far apart; the third photograph shows two classes and has a sub-category of each."""
    features = np.array([[0, 0], [9, 9], [0, 1], [9, 8], [50, 0], [0, 50]], np.float32)
    class_ids = [(1,), (1,), (1, 3), (1,), (3,), ()]
    found = sub_categories(features, class_ids, 4, 2, run_seed=0, round_number=1)
    assert [len(one) for one in found] == [1, 1, 2, 1, 1, 0]
    assert {one for ids in found for one in ids} == {1, 2, 5, 6}
    assert found[0][0] == found[2][0] != found[1][0] == found[3][0]
    assert found[2][1] != found[4][0]
    # what shows other classes changes nothing
    alone = sub_categories(features[:4], [(1,)] * 4, 4, 2, run_seed=0, round_number=1)
    assert [one[0] for one in alone] == [one[0] for one in found[:4]]


def test_order_of_a_photographs_classes_is_kept():
    features = points(6, seed=1).astype(np.float32)
    ids = [(1, 2)] * 6
    found = sub_categories(features, ids, 2, 3, 0, 1)
    turned = sub_categories(features, [(2, 1)] * 6, 2, 3, 0, 1)
    assert [one[::-1] for one in turned] == found


def test_seed_class_and_round_each_draw_anew():
    features = points(24, seed=5).astype(np.float32)
    one = sub_categories(features, [(1, 2)] * 24, 2, 4, 0, 1)
    assert one == sub_categories(features, [(1, 2)] * 24, 2, 4, 0, 1)
    assert one != sub_categories(features, [(1, 2)] * 24, 2, 4, 0, 2)
    assert one != sub_categories(features, [(1, 2)] * 24, 2, 4, 7, 1)
    assert [first for first, _ in one] != [second - 4 for _, second in one]
