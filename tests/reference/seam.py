"""SEAM, one pixel and one class after the other, in float64: its correlation module, its losses and its last step.

Source: Wang et al., "Self-supervised Equivariant Attention Mechanism for Weakly Supervised Semantic Segmentation"
(CVPR 2020), and its public code; arrays are those of one photograph, (C, h, w) with the background first.
"""

import math

import numpy as np

EPS = 1e-5


def corner_to_corner(maps, size):
    """Bilinear interpolation whose corners lie on the corners."""
    height, width = maps.shape[1:]
    found = np.zeros((len(maps), *size))
    for row in range(size[0]):
        for column in range(size[1]):
            y = row * (height - 1) / (size[0] - 1) if size[0] > 1 else 0.0
            x = column * (width - 1) / (size[1] - 1) if size[1] > 1 else 0.0
            top, left = min(int(y), height - 1), min(int(x), width - 1)
            down, right = min(top + 1, height - 1), min(left + 1, width - 1)
            upper = maps[:, top, left] * (1 - (x - left)) + maps[:, top, right] * (x - left)
            lower = maps[:, down, left] * (1 - (x - left)) + maps[:, down, right] * (x - left)
            found[:, row, column] = upper * (1 - (y - top)) + lower * (y - top)
    return found


def strongest_with_background(foreground):
    """1 less the largest class, and the largest class of each pixel; the others are 0."""
    classes, height, width = foreground.shape
    found = np.zeros((classes + 1, height, width))
    for row in range(height):
        for column in range(width):
            values = foreground[:, row, column]
            found[0, row, column] = 1 - max(values)
            for number, value in enumerate(values):
                found[number + 1, row, column] = value if value == max(values) else 0
    return found


def seeds(cams):
    """What the module corrects, from the classifier's (C - 1, h, w) maps."""
    found = np.zeros(cams.shape)
    for number, one in enumerate(np.maximum(cams, 0)):
        found[number] = np.maximum(one - EPS, 0) / (one.max() + EPS)
    return strongest_with_background(found)


def correlate(maps, features):
    """Means of (C, N) maps over all pixels, weighted by the positive cosines of (F, N) features."""
    count = maps.shape[1]
    unit = [features[:, one] / (math.sqrt(sum(features[:, one] ** 2)) + EPS) for one in range(count)]
    found = np.zeros(maps.shape)
    for asks in range(count):
        weights = [max(0.0, float(unit[other] @ unit[asks])) for other in range(count)]
        for other in range(count):
            found[:, asks] += maps[:, other] * weights[other] / (sum(weights) + EPS)
    return found


def from_0_to_1(one):
    """A map from its minimum, or 0, to its maximum."""
    one = np.maximum(one, 0)
    return np.maximum(one - one.min() - EPS, 0) / (one.max() - one.min() + EPS)


def cross_entropy(logits, shown):
    """Mean over the classes."""
    probs = [1 / (1 + math.exp(-one)) for one in logits]
    return -sum(math.log(p if there else 1 - p) for p, there in zip(probs, shown)) / len(logits)


def free_quarter(revised, shown):
    """Mean of the least quarter of the pixels' largest shown class."""
    pixels = revised[1:].reshape(len(shown), -1).T
    values = sorted(max(one if there else 0.0 for one, there in zip(pixel, shown)) for pixel in pixels)
    return float(np.mean(values[: len(values) // 4]))


def hardest(differences, share):
    """Mean of the largest part."""
    sizes = sorted((abs(one) for one in differences.ravel()), reverse=True)
    return float(np.mean(sizes[: int(len(sizes) * share)]))


def losses(whole, small, shown, share):
    """The class loss, the min-pooling loss, ER and ECR of one photograph; a view is its (cams, revised)."""
    size = small[0].shape[1:]
    keep = np.array(shown, dtype=float)[:, None, None]
    cams, revised = [], []
    for linear, corrected in (whole, small):
        cams.append(corner_to_corner(np.stack([from_0_to_1(one) for one in linear]), size) * keep)
        corrected = corner_to_corner(np.stack([from_0_to_1(one) for one in corrected]), size)
        revised.append(corrected * np.concatenate([[[[1.0]]], keep]))
    goals = [strongest_with_background(one) for one in cams]
    return (
        np.mean([cross_entropy(one[0].mean(axis=(1, 2)), shown) for one in (whole, small)]),
        np.mean([free_quarter(one[1], shown) for one in (whole, small)]),
        np.abs(cams[0] - cams[1]).mean(),
        hardest(goals[1] - revised[0], share) + hardest(goals[0] - revised[1], share),
    )
