"""Slow, obvious versions of the clustering behind sub-categories and of its losses."""

from __future__ import annotations

import itertools
import math


def spread(points, labels):
    """Sum of the squared distances of points to the means of their clusters."""
    total = 0.0
    for cluster in set(labels):
        own = [point for point, label in zip(points, labels) if label == cluster]
        mean = [sum(column) / len(own) for column in zip(*own)]
        total += sum((one - other) ** 2 for point in own for one, other in zip(point, mean))
    return total


def best_clusters(points, clusters):
    """The least spread of all ways to share out points among clusters, and these as sets of positions."""
    ways = itertools.product(range(clusters), repeat=len(points))
    labels = min(ways, key=lambda one: spread(points, one))
    return spread(points, labels), as_sets(labels)


def as_sets(labels):
    """Clusters without their numbers."""
    return {frozenset(place for place, one in enumerate(labels) if one == label) for label in set(labels)}


def lloyd(points, centres):
    """Steps from given centres until no point changes its cluster: the number of each point's cluster."""
    labels = None
    while True:
        before = labels
        labels = [min(range(len(centres)), key=lambda one: math.dist(point, centres[one])) for point in points]
        if labels == before:
            return labels
        for cluster in range(len(centres)):
            own = [point for point, label in zip(points, labels) if label == cluster]
            if own:
                centres = [
                    *centres[:cluster],
                    [sum(column) / len(own) for column in zip(*own)],
                    *centres[cluster + 1 :],
                ]


def cross_entropy(logits, target):
    """Mean over photographs and classes of -log of the probability that each answer is right."""
    costs = []
    for row, shown in zip(logits, target):
        for logit, there in zip(row, shown):
            yes = 1 / (1 + math.exp(-logit))
            costs.append(-math.log(yes if there else 1 - yes))
    return sum(costs) / len(costs)


def joint_loss(logits, target, sub_logits, sub_target, weight):
    """The loss of SC-CAM's ``train_cls.py``."""
    return cross_entropy(logits, target) + weight * cross_entropy(sub_logits, sub_target)
